"""Texts: the words that speak for each class, shaded texts, and errors by length."""

from collections.abc import Iterator, Sequence

from dlcli.errors import counted
from dlcli.explaining.reasons.errors_by_length import ErrorsByLength, LengthBin
from dlcli.explaining.reasons.texts import TextReasons
from dlcli.explaining.reasons.word_effects import MAX_WORDS, ShadedText, WordEffects, WordList
from dlcli.explaining.unavailable import Unavailable
from dlcli.report.charts.chart import Axis, Box, Boxes, Chart, Dots, Mark, Panel, Rule, Spans
from dlcli.report.page import PageSection
from dlcli.report.picture import Picture, chart_picture
from dlcli.report.text import describe_rows, named, one_label, sureness_text, value_text
from dlcli.targets.base import Target

_BAR, _AROUND = 19.0, 62.0  # heights, in units of the chart
_MAX_WORD, _MAX_VALUE = 18, 24  # letters
_LETTERS = 78  # of a line of a shaded text
_MAX_LINES = 6
_NO_WORDS = "(no words)"
_LINE = 23.0  # height of a line
_STRONGEST = 0.75  # how much colour the word with the largest effect of a text has


def text_sections(found: Sequence[TextReasons], target: Target) -> Iterator[PageSection]:
    """Yield two sections for each column of texts, named where there are several."""
    for place, reasons in enumerate(found):
        about = f": {named(reasons.column)}" if len(found) > 1 else ""
        end = f"_{place}" if len(found) > 1 else ""
        title = f"Effects of words{about}"
        if isinstance(reasons.words, Unavailable):
            yield PageSection(title, (f"Not shown: {reasons.words.reason}.",))
        else:
            yield _words_section(reasons.words, target, title, end)
        picture = _lengths_picture(reasons.lengths, target, end)
        yield PageSection(f"Errors by length{about}", (), pictures=(picture,))


def _words_section(found: WordEffects, target: Target, title: str, end: str) -> PageSection:
    what = f"the predicted {named(target.name)}" if found.is_number else "the log-odds of a class"
    if target.has_labels:
        what = "the log-odds of a label"
    text = (
        f"Each word of a text in '{named(found.column)}' is left out in turn, wherever it stands "
        f"in it. The effect of the word is {what} with it, less that without it: how much the word "
        "speaks for the prediction beside the other words of its text. Words that repeat each "
        "other share their effect: each looks dispensable while the other is present."
    )
    pictures = [_lists_picture(found, target, end)] if any(x.words for x in found.lists) else []
    if found.texts:
        pictures.append(_shaded_picture(found, end))
    sentences = [text]
    if not any(one.words for one in found.lists):
        sentences.append("No word has an effect.")
    if found.has_more_words:
        sentences.append(f"Of texts with more, the first {MAX_WORDS} different words are left out.")
    if target.has_labels:
        sentences.append(
            "Shaded texts are not shown, as no single label stands for the prediction of a text."
        )
    return PageSection(title, tuple(sentences), pictures=tuple(pictures))


def _lists_picture(found: WordEffects, target: Target, end: str) -> Picture:
    """Draw the words of each class, two classes side by side."""
    high = 1.05 * max(word.effect for one in found.lists for word in one.words)
    panels = [_list_panel(one, found, target, high) for one in found.lists if one.words]
    rows = [panels[start : start + 2] for start in range(0, len(panels), 2)]
    if len(rows) > 1 and len(rows[-1]) == 1:
        rows[-1].append(Panel((), Axis(low=0.0, high=1.0), Axis(low=0.0, high=1.0), is_bare=True))
    most = max(len(one.words) for one in found.lists)
    text = (
        f"Mean effects over the texts that have the word, whose number is in brackets, of "
        f"{describe_rows(found.sample)}; the words with the largest effects"
    )
    if found.least_texts > 1:
        text += f" that are in at least {found.least_texts} texts"
    if len(found.lists) < found.num_classes:
        text += (
            f", for the {len(found.lists)} of {found.num_classes} "
            f"{'labels' if target.has_labels else 'classes'} with the most training rows"
        )
    chart = Chart(tuple(map(tuple, rows)), len(rows) * (_BAR * most + _AROUND))
    return chart_picture(f"words{end}", "Words for each prediction", f"{text}.", chart)


def _list_panel(one: WordList, found: WordEffects, target: Target, high: float) -> Panel:
    bars, ticks = [], []
    for row, word in enumerate(one.words):
        label = one_label(word.word, _MAX_WORD)
        note = f"{label}: {value_text(word.effect)}, in {counted(word.num_texts, 'text')}"
        bars.append(Box(0.0, row - 0.36, word.effect, row + 0.36, 0, 0.55, note=note))
        ticks.append((float(row), f"{label} ({word.num_texts})"))
    if found.is_number:
        title = f"{one.name} {one_label(target.name, _MAX_VALUE)}"
        axis = f"{'raises' if one.name == 'higher' else 'lowers'} it by"
    else:
        title, axis = one_label(one.name, _MAX_VALUE), "effect (log-odds)"
    y = Axis(low=-0.5, high=len(one.words) - 0.5, ticks=ticks, is_flipped=True, has_grid=False)
    return Panel((Boxes(bars),), Axis(axis, low=0.0, high=high, max_ticks=4), y, title=title)


def _shaded_picture(found: WordEffects, end: str) -> Picture:
    """Draw texts with the words in the colour of their effect."""
    rows, heights = [], []
    for text in found.texts:
        panel, lines = _text_panel(text)
        rows.append((panel,))
        heights.append(_LINE * lines)
    total = sum(heights)
    which = "those with the smallest errors, then those with the largest"
    score = "the predicted number"
    if not found.is_number:
        which = "of the largest classes, the text that the network is surest of and right"
        if any(text.truth != text.prediction for text in found.texts):
            which += ", then the texts that it gets most wrong"
        score = "the log-odds of the predicted class"
    caption = (
        f"Of {describe_rows(found.sample)}: {which}. Blue words raise {score}, orange ones lower "
        "it; the stronger the colour, the larger the effect, on a scale of the text's own. "
        "Texts are shown as they are cut into tokens."
    )
    chart = Chart(tuple(rows), total, heights=tuple(height / total for height in heights))
    return chart_picture(f"shaded_texts{end}", "Shaded texts", caption, chart)


def _text_panel(shaded: ShadedText) -> tuple[Panel, int]:
    """Return a text in lines, and their number."""
    largest = max(map(abs, shaded.effects), default=0.0) or 1.0
    boxes, x, line = list[Box](), 0, 0
    words = zip(shaded.text.gaps, shaded.text.words, shaded.effects, strict=True)
    for gap, word, effect in words:
        shown = one_label(word, _LETTERS // 2)
        x += 1 if gap and x else 0
        if x + len(shown) > _LETTERS:
            x, line = 0, line + 1
        if line == _MAX_LINES:
            boxes.append(Box(_LETTERS, line - 0.9, _LETTERS + 2, line - 0.1, 0, 0.0, "…"))
            break
        opacity = round(_STRONGEST * abs(effect) / largest, 3)
        note = f"{shown}: {value_text(effect)}"
        color = 0 if effect >= 0 else 1
        corners = (float(x), line + 0.1, float(x + len(shown)), line + 0.9)
        boxes.append(Box(*corners, color, opacity, shown, note))
        x += len(shown)
    if not boxes:
        boxes.append(Box(0.0, 0.1, float(len(_NO_WORDS)), 0.9, 0, 0.0, _NO_WORDS))
    lines = min(line + 1, _MAX_LINES)
    across = Axis(low=0.0, high=float(_LETTERS + 2), ticks=())
    down = Axis(low=0.0, high=float(lines), ticks=(), is_flipped=True)
    return Panel((Boxes(boxes),), across, down, title=_title(shaded), is_bare=True), lines


def _title(text: ShadedText) -> str:
    truth, prediction = _value_text(text.truth), _value_text(text.prediction)
    sureness = "" if text.probability is None else f" ({sureness_text(text.probability)})"
    if text.probability is not None and text.truth == text.prediction:
        return f"{text.position}: {truth}{sureness}"
    return f"{text.position}: {truth}, predicted {prediction}{sureness}"


def _value_text(value: str | float) -> str:
    return one_label(value, _MAX_VALUE) if isinstance(value, str) else f"{value:.3g}"


def _lengths_picture(found: ErrorsByLength, target: Target, end: str) -> Picture:
    """Draw the mean of each bin, with its interval."""
    places = list(range(len(found.bins)))
    means = [one.mean for one in found.bins]
    low, high = [one.low for one in found.bins], [one.high for one in found.bins]
    measure = axis = "accuracy"
    if found.is_number:
        axis = "mean absolute error"
        measure = f"{axis} of {one_label(target.name, _MAX_VALUE)}"
    elif target.has_labels:
        measure = axis = "share of labels that are right"
    total = sum(one.mean * one.num_rows for one in found.bins)
    marks: list[Mark] = [
        Spans(places, low, places, high, 0, 1.8),
        Dots(places, means, color=0, size=7.0),
    ]
    mean = total / sum(one.num_rows for one in found.bins)
    marks.append(Rule(mean, "y", dashes=1, opacity=0.6))
    ticks = [(float(place), _bin_text(one)) for place, one in enumerate(found.bins)]
    panel = Panel(
        marks,
        Axis(f"{found.element}s (rows)", -0.5, len(places) - 0.5, ticks=ticks, has_grid=False),
        Axis(axis, low=0.0 if found.is_number else None),
    )
    text = (
        f"The {measure} by the length of '{named(found.column)}', of "
        f"{describe_rows(found.sample)}, in bins of about as many rows each, with 95 % intervals; "
        "dashed: the mean of all of them."
    )
    chart = Chart(((panel,),), 220.0)
    return chart_picture(f"errors_by_length{end}", "Errors by length", text, chart)


def _bin_text(one: LengthBin) -> str:
    ends = f"{one.shortest}" if one.shortest == one.longest else f"{one.shortest}–{one.longest}"
    return f"{ends} ({one.num_rows:,})"
