"""What is installed on a node: results are the same only where the programs are."""

from collections.abc import Callable, Mapping

from dlcli.errors import ConfigError

Versions = Mapping[str, str]  # by name


def make_probe() -> Callable[[], dict[str, str]]:
    """Return a function that says what is installed where it is called.

    It is made here, within a function, so that Ray sends its code: nodes may lack dlcli.
    """

    def probe() -> dict[str, str]:
        import hashlib
        import platform
        from importlib import metadata
        from pathlib import Path

        found = {"python": ".".join(platform.python_version_tuple()[:2])}
        try:
            found["torch"] = metadata.version("torch")
        except metadata.PackageNotFoundError:
            found["torch"] = "missing"
        try:
            import dlcli
        except ImportError:
            return {**found, "dlcli": "missing"}
        digest = hashlib.sha256()
        package = Path(dlcli.__file__).parent
        for path in sorted(package.rglob("*.py")):
            digest.update(path.relative_to(package).as_posix().encode() + b"\0")
            digest.update(path.read_bytes() + b"\0")
        return {**found, "dlcli": f"{dlcli.__version__} (code {digest.hexdigest()[:8]})"}

    return probe


def refuse_other_versions(here: Versions, there: Versions, node: str) -> None:
    """Raise ConfigError where a node has not what is installed here."""
    different = [name for name in here if here[name] != there[name]]
    if different:
        said = "; ".join(f"{name} is {there[name]} there, {here[name]} here" for name in different)
        raise ConfigError(
            f"--ray: node {node} can't give the same results: {said}. Install the same there, as "
            "docs/guides/clusters.md shows, and start its `ray start` again"
        )
