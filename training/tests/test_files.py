"""A file that a failing writer leaves is the old one, or none."""

import ast
from pathlib import Path

import pytest

import nasoseg_train
from nasoseg_train.run import checkpoint
from nasoseg_train.run.files import replacing, write_text

PACKAGE = Path(nasoseg_train.__file__).parent


def test_a_file_is_replaced_at_the_end_of_the_block(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old" and partial.parent == tmp_path
    assert path.read_text() == "new"
    write_text(path, "text")
    assert path.read_text() == "text" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("old", ["old", None])
def test_a_failing_writer_changes_nothing(tmp_path, old, error):
    path = tmp_path / "a.json"
    if old:
        path.write_text(old)
    with pytest.raises(type(error)), replacing(path) as partial:
        partial.write_text("ha")
        raise error
    assert [p.read_text() for p in tmp_path.iterdir()] == ([old] if old else [])


def test_a_failed_replacement_leaves_no_temporary_file(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        write_text(tmp_path / "folder", "text")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_a_checkpoint_that_cannot_be_written_keeps_the_last_one(tmp_path):
    path = tmp_path / "segmenter_last.pt"
    checkpoint.write(path, {"step": 1})
    with pytest.raises(Exception, match="pickle"):
        checkpoint.write(path, {"step": lambda: 2})
    assert checkpoint.read(path) == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_every_module_writes_to_a_temporary_file_or_folder():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("write_text", "write_bytes"):
                names = {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
                # `beside` is a folder that is renamed once it is complete.
                assert names & {"partial", "beside"}, f"{path}:{node.lineno}"
