"""The images of which a network is surest, as a section of a page."""

from dlcli.explaining.quality.surest_images import SurestImages
from dlcli.report.page import PageSection
from dlcli.report.picture import chart_picture
from dlcli.report.quality.largest_errors import images_chart
from dlcli.report.text import listed


def surest_section(found: SurestImages, num_classes: int) -> PageSection:
    """Return the images with the highest predicted probability of each of `num_classes` classes."""
    num_wrong = sum(row.truth != row.prediction for row in found.rows)
    what = "the image" if found.num_each == 1 else f"up to {found.num_each} images"
    of = "each class" if found.num_classes == num_classes else f"the first {found.num_classes}"
    text = (
        f"Of {of}{'' if of == 'each class' else f' of {num_classes} classes'}, {what} predicted as "
        "it with the highest probability: the true class with its predicted probability, and the "
        "predicted class where it differs."
    )
    sentences = [
        f"{num_wrong or 'None'} of these {len(found.rows)} images "
        f"{'is' if num_wrong < 2 else 'are'} misclassified."
    ]
    if found.never:
        sentences.append(f"No row is predicted as {listed(found.never)}.")
    title = "Most confident predictions"
    picture = chart_picture("surest", title, text, images_chart(found.images, found.rows))
    return PageSection(title, (" ".join(sentences),), pictures=(picture,))
