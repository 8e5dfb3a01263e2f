"""Rows of queries to SQLite and PostgreSQL."""

import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dlcli.errors import ConfigError, DataError
from dlcli.tables.reading import checksum, read_table
from dlcli.tables.sources import Selection, Source, find_source
from dlcli.tables.table import Table
from tests.conftest import Command, WriteConfig

QUERY = "SELECT * FROM t ORDER BY id"
ROWS = [
    (1, 1.5, "a", "7", 2**60 + 1, None),
    (2, None, "b", 8, 0.5, None),
    (3, 4, None, 9, None, None),
]


@pytest.fixture
def shop() -> Path:
    """An SQLite database in which some columns have cells of several types."""
    with closing(sqlite3.connect("shop.sqlite")) as connection, connection:
        connection.execute("CREATE TABLE t (id, x, y, mixed, large, missing)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", ROWS)
        connection.execute("CREATE TABLE other (a)")
    return Path("shop.sqlite")


def named(path: str, query: str | None = QUERY) -> Source:
    return find_source(path, selection=Selection(query=query))


def read(path: str, query: str | None = QUERY) -> Table:
    return read_table(named(path, query))


def refusal(path: str, query: str | None = QUERY) -> str:
    with pytest.raises((DataError, ConfigError)) as caught:
        read(path, query)
    return str(caught.value)


@pytest.mark.parametrize("path", ["shop.sqlite", "sqlite:///shop.sqlite"])
def test_cells_of_a_column_become_one_type_without_loss(path: str, shop: Path) -> None:
    table = read(path)
    assert table.frame.rows() == [
        (1, 1.5, "a", "7", "1152921504606846977", None),
        (2, None, "b", "8", "0.5", None),
        (3, 4.0, None, "9", None, None),
    ]
    assert table.place(1) == f"{shop}, row 2"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (None, "an SQLite database; say which rows with data.query, an SQL SELECT; its tables: o"),
        ("SELECT z FROM t", "the query can't be answered: no such column: z"),
        ("DELETE FROM t", "the query can't be answered: attempt to write a readonly database"),
        ("SELECT id, x AS id FROM t", "two columns of data.query are named 'id'; rename one with"),
        ("SELECT id FROM t; SELECT 1", "the query can't be answered: You can only execute one"),
        ("SELECT id FROM t WHERE id > 9", "no rows below the header"),
    ],
)
def test_queries_that_give_no_table_are_refused(query: str | None, said: str, shop: Path) -> None:
    assert f"{shop}: {said}" in refusal("shop.sqlite", query)
    assert len(read("shop.sqlite")) == len(ROWS)


def test_a_query_is_asked_once_and_its_rows_have_a_checksum(shop: Path) -> None:
    source = named(str(shop))
    before = checksum(source)
    with closing(sqlite3.connect(shop)) as connection, connection:
        connection.execute("UPDATE t SET x = 2.5 WHERE id = 1")
    assert read_table(source).frame["x"][0] == 1.5
    assert checksum(named(str(shop))) != before
    assert not list(Path(tempfile.gettempdir()).glob(f"dlcli-*{os.getpid()}*"))


def test_a_run_on_a_query_notices_other_rows(
    shop: Path, dlcli: Command, write_config: WriteConfig
) -> None:
    data = {"query": "SELECT id, x, y FROM t, generate", "split": {"test": 0.2}}
    with closing(sqlite3.connect(shop)) as connection, connection:
        connection.execute("CREATE TABLE generate (n)")
        connection.executemany("INSERT INTO generate VALUES (?)", [(n,) for n in range(20)])
    config = write_config(shop, "y", data={**data, "drop_missing_target": True})
    assert dlcli("train", config, "--run-dir", "run").code == 0
    assert dlcli("evaluate", "run").code == 0
    assert dlcli("predict", "run", shop, "-o", "out.csv").code == 0
    assert len(Path("out.csv").read_text().splitlines()) == 61
    with closing(sqlite3.connect(shop)) as connection, connection:
        connection.execute("UPDATE t SET x = 2.5 WHERE id = 1")
    assert "shop.sqlite: changed since the run was trained" in dlcli("evaluate", "run").err


class TestPasswords:
    ADDRESS = "postgresql://me:{}@127.0.0.1:1/shop"

    @pytest.mark.parametrize(
        "path", [ADDRESS.format("hush"), "${env:SHOP:postgresql://me:hush@127.0.0.1:1/shop}"]
    )
    def test_a_config_must_not_hold_one(
        self, path: str, dlcli: Command, write_config: WriteConfig
    ) -> None:
        outcome = dlcli("validate", write_config(path, "y", data={"query": "SELECT 1"}))
        assert outcome.code == 2
        assert "write ${env:NAME} for it, and set that environment variable" in outcome.err
        assert "hush" not in outcome.err + outcome.out
        option = ["--set", f"data.path={path}"]
        outcome = dlcli("validate", write_config("t.csv", "y"), "--json", *option)
        assert outcome.code == 2
        assert "hush" not in outcome.err + outcome.out
        outcome = dlcli(
            "init", "--effort", "quick", path, "--target", "y", "--set", "data.query=SELECT 1"
        )
        assert outcome.code == 2
        assert "hush" not in outcome.err + outcome.out

    @pytest.mark.parametrize("path", [ADDRESS.format("${env:PASSWORD}"), "${env:SHOP}"])
    def test_one_from_the_environment_is_never_shown(
        self, path: str, dlcli: Command, write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("adbc_driver_postgresql")
        monkeypatch.setenv("PASSWORD", "hush")
        monkeypatch.setenv("SHOP", self.ADDRESS.format("hush"))
        config = write_config(path, "y", data={"query": "SELECT 1"})
        outcome = dlcli("train", config, "--run-dir", "run")
        assert outcome.code == 3
        assert "postgresql://me:…@127.0.0.1:1/shop: the query can't be answered" in outcome.err
        assert "hush" not in outcome.err + outcome.out

    def test_other_databases_are_refused_without_theirs(self) -> None:
        said = refusal("mysql://me:hush@127.0.0.1/shop")
        assert said.startswith("mysql://me:…@127.0.0.1/shop: mysql isn't read, only SQLite and")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL server of this test's own, on loopback."""
    pytest.importorskip("adbc_driver_postgresql")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        pytest.skip("PostgreSQL isn't installed here: apt-get install postgresql")
    if os.getuid():
        pytest.skip("PostgreSQL is started as the user postgres, which only root can become")
    user, programs, port = pwd.getpwnam("postgres"), found[-1].parent, free_port()

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [programs / program, *arguments],
            user=user.pw_uid,
            group=user.pw_gid,
            cwd="/",
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    folder = Path(tempfile.mkdtemp(prefix="dlcli-postgresql-"))
    os.chown(folder, user.pw_uid, user.pw_gid)
    data, password = str(folder / "data"), folder / "password"
    password.write_text("hush")
    os.chown(password, user.pw_uid, user.pw_gid)
    run("initdb", "-D", data, "-A", "scram-sha-256", "--pwfile", str(password), "--no-sync")
    options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
    run("pg_ctl", "-D", data, "-w", "-o", options, "-l", str(folder / "log"), "start")
    yield f"postgresql://postgres:hush@127.0.0.1:{port}/postgres"
    run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    shutil.rmtree(folder)


def fill(address: str) -> None:
    import adbc_driver_postgresql.dbapi as driver

    with driver.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS t")
        cursor.execute(
            "CREATE TABLE t AS SELECT n AS id, n / 3.0::float8 AS x, (n * 1.1)::numeric(9, 2) AS m,"
            " n % 2 = 0 AS b, DATE '2024-01-01' + n AS d, CASE WHEN n % 7 > 0 THEN 'k' || n % 3 END"
            " AS k, CASE WHEN n > 50 THEN 'yes' ELSE 'no' END AS y FROM generate_series(1, 99) AS n"
        )
        connection.commit()


def test_a_run_on_postgresql(
    postgresql: str, dlcli: Command, write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(postgresql)
    monkeypatch.setenv("SHOP", postgresql)
    config = write_config("${env:SHOP}", "y", data={"query": QUERY, "split": {"test": 0.2}})
    outcome = dlcli("train", config, "--run-dir", "run")
    assert outcome.code == 0, outcome.err
    assert dlcli("evaluate", "run").code == 0
    query = ["--set", f"data.query={QUERY}"]
    drafted = dlcli(
        "init", "--effort", "quick", "${env:SHOP}", "--target", "y", "-o", "drafted.yaml", *query
    )
    assert drafted.code == 0, drafted.err
    assert "path: '${env:SHOP}'" in Path("drafted.yaml").read_text()
    assert dlcli("validate", "drafted.yaml").code == 0
    predicted = dlcli("predict", "run", postgresql, "-o", "out.csv")
    assert predicted.code == 0, predicted.err
    assert Path("out.csv").read_text().splitlines()[3].startswith("3,1.0,3.30,false,2024-01-04,k0")
    assert "hush" not in outcome.out + outcome.err + predicted.out + predicted.err
    for file in Path("run").rglob("*"):
        assert b"hush" not in file.read_bytes()
    assert "cannot execute DELETE in a read-only transaction" in refusal(
        postgresql, "DELETE FROM t RETURNING *"
    )
    wrong = refusal(postgresql.replace("hush", "shush"))
    assert "password authentication failed" in wrong
    assert "shush" not in wrong
