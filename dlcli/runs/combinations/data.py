"""Settings of `data`, most of which the section refuses as it is read."""

from dlcli.runs.combinations.rule import refused

_SHARES = {"validation": 0.2, "test": 0.2}
_WINDOW = {"time": "a", "past": 2, "horizon": 1, "targets": ["y"]}

RULES = (
    refused(
        *("data.split.column", "data.split.validation", "data.split.test", "data.split.seed"),
        when="`column` and any other",
        effect="both say where rows belong",
        example={"data": {"split": {"column": "part", "test": 0.2}}},
    ),
    refused(
        *("data.split.group", "data.split.time"),
        when="both are given",
        effect="a group with early and late rows can't be in one part",
        example={"data": {"split": {**_SHARES, "group": "part", "time": "a"}}},
    ),
    refused(
        *("data.split.column", "data.split.group", "data.split.time"),
        when="`column` and any other",
        effect="both say where rows belong",
        example={"data": {"split": {"column": "part", "group": "c"}}},
    ),
    refused(
        *("data.split.group", "data.split.validation", "data.split.test"),
        when="`group` or `time` without fractions",
        effect="no rows are held out",
        example={"data": {"split": {"group": "part"}}},
    ),
    refused(
        *("data.split.seed", "data.split.time"),
        when="both are given",
        effect="no rows are drawn",
        example={"data": {"split": {**_SHARES, "time": "a", "seed": 1}}},
    ),
    refused(
        *("data.split.seed", "data.split.validation", "data.split.test"),
        when="`seed` without fractions",
        effect="no rows are drawn",
        example={"data": {"split": {"seed": 1}}},
    ),
    refused(
        *("data.split.validation", "data.split.test"),
        when="their sum is 1 or more",
        effect="no rows are left for training",
        example={"data": {"split": {"validation": 0.5, "test": 0.5}}},
    ),
    refused(
        *("data.validation_path", "data.split.validation", "data.split.column"),
        when="the validation rows come from both; the test rows likewise",
        effect="both say which rows they are",
        example={"data": {"validation_path": "table.csv", "split": {"validation": 0.2}}},
    ),
    refused(
        *("data.validation_path", "data.split.group", "data.split.time"),
        when="`group` or `time` with rows of another file",
        effect="no promise holds between files",
        example={"data": {"validation_path": "table.csv", "split": {"test": 0.2, "group": "part"}}},
    ),
    refused(
        *("data.target", "data.weight", "data.split.column", "data.split.group", "data.split.time"),
        when="the target has another role",
        effect="a column has one role",
        example={"data": {"weight": "y"}},
    ),
    refused(
        *("data.target", "data.features", "data.keep"),
        when="`features` or `keep` lists the target",
        effect="the network would be told what it predicts",
        example={"data": {"features": ["a", "y"]}},
    ),
    refused(
        *("data.features", "data.keep"),
        when="both list a column",
        effect="it is a feature, and none",
        example={"data": {"features": ["a"], "keep": ["a"]}},
    ),
    refused(
        *("data.features", "data.weight"),
        when="`features` lists the weights",
        effect="they are no feature",
        example={"data": {"features": ["a", "w"], "weight": "w"}},
    ),
    refused(
        *("data.features", "data.split.column"),
        when="`features` lists the parts",
        effect="they are no feature",
        example={"data": {"features": ["a", "part"], "split": {"column": "part"}}},
    ),
    refused(
        *("data.kinds", "data.target"),
        when="`kinds` lists the target",
        effect="its kind follows from `data.task`",
        example={"data": {"kinds": {"y": "categorical"}}},
    ),
    refused(
        *("data.kinds", "data.split.column"),
        when="`kinds` lists the parts",
        effect="they are no feature",
        example={"data": {"kinds": {"part": "categorical"}, "split": {"column": "part"}}},
    ),
    refused(
        *("data.kinds", "data.weight"),
        when="`kinds` lists the weights",
        effect="they are no feature",
        example={"data": {"kinds": {"w": "numeric"}, "weight": "w"}},
    ),
    refused(
        *("data.kinds", "data.features"),
        when="`kinds` lists a column that is no feature",
        effect="nothing is encoded",
        example={"data": {"kinds": {"c": "categorical"}, "features": ["a", "b"]}},
    ),
    refused(
        *("data.target_scale", "data.task"),
        when="the target is classes",
        effect="there is nothing to scale",
        example={"data": {"target_scale": "log"}},
    ),
    refused(
        *("data.order", "data.task"),
        when="the task is not `ordinal`",
        effect="classes have no order",
        example={"data": {"order": ["no", "yes"], "task": "binary"}},
    ),
    refused(
        *("data.label_separator", "data.task"),
        when="the task is not `multilabel`",
        effect="each cell has one label",
        example={"data": {"label_separator": ";"}},
    ),
    refused(
        *("data.target", "data.task", "data.target_scale", "data.order"),
        when="one by name names a column that is no target",
        effect="nothing is predicted of it",
        example={"data": {"task": {"a": "regression"}}},
    ),
    refused(
        *("data.target", "data.task"),
        when="one of several targets is to be forecast",
        effect="rows are no windows",
        example={"data": {"target": ["y", "a"], "task": {"y": "forecast"}, "features": ["b"]}},
    ),
    refused(
        *("data.one_hot_max", "data.embedding_dim", "data.features"),
        when="no feature is encoded so",
        effect="the setting does nothing",
        example={"data": {"embedding_dim": 4, "features": ["a", "b"]}},
    ),
    refused(
        *("data.query", "data.path"),
        when="the rows come from no database; `sheet` without a workbook likewise",
        effect="nothing is selected",
        example={"data": {"query": "select 1"}},
    ),
    refused(
        *("data.decimal", "data.thousands"),
        when="both are the same mark",
        effect="numbers can't be read",
        example={"data": {"decimal": ",", "thousands": ","}},
    ),
    refused(
        *("data.names", "data.header"),
        when="`names`, where the file has a header line",
        effect="the line would be taken for a row, or for names",
        example={"data": {"names": ["a", "b"], "header": True}},
    ),
    refused(
        *("data.window", "data.target"),
        when="`target` is not the first of `window.targets`",
        effect="a forecast's targets are said in one place",
        example={"data": {"window": {**_WINDOW, "targets": ["b"]}}},
    ),
    refused(
        *("data.window", "data.task"),
        when="`task: forecast` without a window",
        effect="nothing says what a forecast is",
        example={"data": {"task": "forecast"}},
    ),
    refused(
        *("data.window", "data.task"),
        when="another task",
        effect="with a window, the task is a forecast",
        example={"data": {"window": _WINDOW, "task": "regression"}},
    ),
    refused(
        *("data.window", "data.weight", "data.validation_path", "data.test_path"),
        *("data.shape", "data.order"),
        when="`window` and any other",
        effect="windows are of one table, and each counts once",
        example={"data": {"window": _WINDOW, "weight": "w"}},
    ),
    refused(
        *("data.window", "data.streaming"),
        when="rows are to be streamed",
        effect="windows are cut from a series in memory",
        example={"data": {"window": _WINDOW, "streaming": True}},
    ),
    refused(
        *("data.window", "data.split.group", "data.split.time", "data.split.column"),
        "data.split.seed",
        when="`window` and any other",
        effect="windows are split by their time",
        example={"data": {"window": _WINDOW, "split": {**_SHARES, "time": "a"}}},
    ),
    refused(
        *("data.window.known", "data.features"),
        when="`features` leaves out a known column",
        effect="the network would not see it",
        example={"data": {"window": {**_WINDOW, "known": ["b"]}, "features": ["c"]}},
    ),
    refused(
        *("data.window.season", "data.window.past"),
        when="the season is longer",
        effect="the baseline would see more than the network",
        example={"data": {"window": {**_WINDOW, "season": 3}}},
    ),
    refused(
        *("data.window.time", "data.window.group", "data.window.targets", "data.window.known"),
        when="a column is listed twice",
        effect="a column has one role",
        example={"data": {"window": {**_WINDOW, "known": ["a"]}}},
    ),
)
