"""All sections of this room, and what is not available."""

from dlcli.explaining.unavailable import Unavailable
from dlcli.explaining.vision.vision import Vision
from dlcli.report.page import PageSection
from dlcli.report.vision.patches import patches_section
from dlcli.report.vision.saliency import saliency_section


def vision_sections(found: Vision) -> list[PageSection]:
    """Return where the network looks and what its layers respond to, or why that isn't shown."""
    sections = []
    if isinstance(found.saliency, Unavailable):
        text = f"Not shown: {found.saliency.reason}."
        sections.append(PageSection("Grad-CAM and occlusion", (text,)))
    else:
        sections.append(saliency_section(found.saliency))
    if isinstance(found.patches, Unavailable):
        text = f"Not shown: {found.patches.reason}."
        sections.append(PageSection("Strongest patches by layer", (text,)))
    else:
        sections.append(patches_section(found.patches))
    return sections
