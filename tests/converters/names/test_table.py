import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorferry.converters.names.table import (
    expand_scopes,
    invert_table,
    merge_tables,
    parse_renames,
    read_table,
)
from tensorferry.formats.errors import FormatError, NameMapError, TensorferryError, UsageError

TABLE = {"v1": "other-v1", "a/b": "c"}


@pytest.fixture
def write(tmp_path):
    def write(content, name="names.json"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("names.json", '{"v1": "other-v1", "a/b": "c"}'),
        ("names.json", '{"rename": {"v1": "other-v1", "a/b": "c"}}'),
        ("names", '{"v1": "other-v1",\n "a/b": "c"}\n'),
        ("names.toml", '[rename]\n"v1" = "other-v1"\n"a/b" = "c"\n'),
        ("names.toml", 'v1 = "other-v1"\n"a/b" = "c"\n'),
    ],
)
def test_read(write, name, content):
    assert read_table(write(content, name)) == TABLE
    assert read_table(str(write(content, name))) == TABLE


def test_a_variable_may_be_called_rename(write):
    assert read_table(write('{"rename": "x"}')) == {"rename": "x"}
    assert read_table(write('{"rename": "x", "y": "z"}')) == {"rename": "x", "y": "z"}


def test_an_empty_table(write):
    assert read_table(write("{}")) == {}
    assert read_table(write("", "names.toml")) == {}


def refused(kind, path, problem):
    with pytest.raises(kind) as error:
        read_table(path)
    assert str(error.value) == f"{path}: {problem}"


def test_no_file(tmp_path):
    refused(FormatError, tmp_path / "none.json", "expected a table of names, got: No such file or directory")
    refused(FormatError, tmp_path, "expected a table of names, got: Is a directory")


def test_a_huge_file(write):
    path = write("")
    with path.open("r+b") as file:
        file.truncate((64 << 20) + 1)
    refused(FormatError, path, "expected a table of names, got a file of 67108865 bytes")


def test_other_bytes(write):
    refused(FormatError, write(b'{"\xff": "a"}'), "expected a table of names in UTF-8, got other bytes")


@pytest.mark.parametrize(("content", "kind"), [("[]", "list"), ('"a"', "str"), ("null", "NoneType"), ("3", "int")])
def test_no_table(write, content, kind):
    refused(FormatError, write(content), f"expected a table of names, got a {kind}")


def test_other_values(write):
    problem = "expected names on the right, got something else for: a, b"
    refused(FormatError, write('{"a": 1, "x": "y", "b": {"c": "d"}}'), problem)


@pytest.mark.parametrize("content", ['{"a": "b"', "{'a': 'b'}", "", "[" * 100_000])
def test_broken_json(write, content):
    with pytest.raises(FormatError, match=r"names\.json: expected a table of names in JSON, got: "):
        read_table(write(content))


@pytest.mark.parametrize("content", ["a =", "a = 'b'\na = 'c'", "a"])
def test_broken_toml(write, content):
    with pytest.raises(FormatError, match=r"names\.toml: expected a table of names in TOML, got: "):
        read_table(write(content, "names.toml"))


def test_a_name_twice(write):
    problem = "expected each name once on the left, got doubled: a, c"
    refused(NameMapError, write('{"c": "1", "a": "1", "a": "2", "b": "3", "c": "1"}'), problem)


@given(st.text() | st.binary())
def test_any_file(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    message = f"{path}: expected "
    try:
        assert isinstance(read_table(path), dict)
    except TensorferryError as error:
        message = str(error)
    assert message.startswith(f"{path}: expected ")


class TestRenames:
    def test_words(self):
        assert parse_renames(["v1=other-v1", "a/b=c"]) == TABLE
        assert parse_renames([]) == {}

    def test_the_first_equals_sign_divides(self):
        assert parse_renames(["a=b=c"]) == {"a": "b=c"}

    @pytest.mark.parametrize("word", ["a", "a=", "=a", "=", ""])
    def test_one_side(self, word):
        with pytest.raises(UsageError) as error:
            parse_renames(["x=y", word])
        assert str(error.value) == f"--rename {word}: expected OLD=NEW, got one side only"

    def test_doubled(self):
        assert parse_renames(["a=b", "a=b"]) == {"a": "b"}
        with pytest.raises(NameMapError, match="^rename: expected one new name for a, got two: b and c$"):
            parse_renames(["a=b", "a=c"])


class TestMerge:
    def test_union(self):
        assert merge_tables([{"a": "b"}, {}, {"c": "d", "a": "b"}]) == {"a": "b", "c": "d"}
        assert merge_tables([]) == {}

    def test_disagreement(self):
        with pytest.raises(NameMapError, match="^rename: expected one new name for a, got two: b and c$"):
            merge_tables([{"a": "b"}, {"a": "c"}])


class TestInvert:
    @given(st.dictionaries(st.text(max_size=3), st.text(max_size=3)))
    def test_twice_is_the_identity(self, table):
        if len(set(table.values())) == len(table):
            assert invert_table(invert_table(table)) == table
            assert set(invert_table(table)) == set(table.values())
        else:
            with pytest.raises(NameMapError):
                invert_table(table)

    def test_two_sources_of_a_target(self):
        text = "^t.json: expected one source for each target, got several: x <- a, b, y <- c, d$"
        with pytest.raises(NameMapError, match=text):
            invert_table({"a": "x", "c": "y", "b": "x", "d": "y", "e": "z"}, "t.json")


class TestScopes:
    """As `tf.train.init_from_checkpoint` documents its assignment map."""

    names = ("a/x", "a/b/y", "c", "ab")

    @pytest.mark.parametrize(
        ("table", "expected"),
        [
            ({"a/": "n/"}, {"a/x": "n/x", "a/b/y": "n/b/y"}),
            ({"a/": "/"}, {"a/x": "x", "a/b/y": "b/y"}),
            ({"/": "n/"}, {"a/x": "n/a/x", "a/b/y": "n/a/b/y", "c": "n/c", "ab": "n/ab"}),
            ({"a/": "n/", "a/b/": "m/"}, {"a/x": "n/x", "a/b/y": "m/y"}),
            ({"a/": "n/", "a/x": "y"}, {"a/x": "y", "a/b/y": "n/b/y"}),
            ({"z/": "n/"}, {"z/": "n/"}),
            ({"c": "d"}, {"c": "d"}),
        ],
    )
    def test_names_in_them(self, table, expected):
        assert expand_scopes(table, self.names) == expected

    def test_a_scope_to_a_name(self):
        with pytest.raises(NameMapError) as error:
            expand_scopes({"a/": "n", "b": "m/"}, self.names)
        message = "table: expected scopes to go to scopes, both ending in a slash, got: a/ -> n, b -> m/"
        assert str(error.value) == message


def test_a_key_of_many_parts_is_refused_at_once(tmp_path):
    (tmp_path / "deep.toml").write_text("a" + ".a" * 30_000 + " = 'x'")
    with pytest.raises(FormatError, match=r"deep\.toml: expected lines with at most 100 dots, got one with 30000$"):
        read_table(tmp_path / "deep.toml")
