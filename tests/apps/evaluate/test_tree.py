"""What the tables of a tree say of its scans."""

import numpy as np
import pytest

from apps.evaluate.tree import read_tree
from operators.errors import InputError
from operators.labels import Side, structure


def test_scans_carry_what_the_tables_say(tree):
    (tree / "sourcedata" / "sub-2").mkdir(parents=True)
    whole = read_tree(tree)
    assert whole.simulated
    assert [one.name for one in whole.scans] == ["sub-1", "sub-2", "sub-3", "sub-4"]
    assert [one.anatomy for one in whole.scans] == ["head-1", "head-0"] * 2
    assert [one.field_strength_t for one in whole.scans] == [3.0, 3.0, 3.0, None]
    assert [one.study is not None for one in whole.scans] == [False, True, False, False]
    first = whole.scans[0].read()
    assert (first.anatomy, first.field_strength_t) == ("head-1", 3.0)
    assert np.unique(first.regions).tolist() == [0, structure("putamen", Side.LEFT).number]


def test_without_tables_every_subject_is_its_own_and_nothing_is_called_simulated(tree):
    (tree / "participants.tsv").unlink()
    (tree / "dataset_description.json").unlink()
    whole = read_tree(tree)
    assert not whole.simulated
    assert [one.anatomy for one in whole.scans] == ["sub-1", "sub-2", "sub-3", "sub-4"]
    assert whole.scans[0].slice_mm is None


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("participants.tsv", "subject\tage\nsub-1\t3\n", "no column participant_id"),
        ("participants.tsv", "participant_id\tfield_strength_t\nsub-1\tthree\n", "is 'three'"),
        ("dataset_description.json", "[]", "not a JSON object"),
    ],
)
def test_a_broken_table_is_named(tree, name, text, said):
    (tree / name).write_text(text)
    with pytest.raises(InputError, match=said):
        read_tree(tree)
