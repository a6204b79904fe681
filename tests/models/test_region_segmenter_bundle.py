"""The shipped region networks: small, as their card says, learned from nobody's scans."""

from __future__ import annotations

import hashlib

from apps.map.settings import REGION_MODEL
from operators.region_segmenter.bundle import HEAD, NUCLEI, load_networks


def test_the_card_tells_the_weights_that_are_there() -> None:
    card = (REGION_MODEL / "docs/README.md").read_text()
    for part in (HEAD, NUCLEI):
        content = (REGION_MODEL / part).read_bytes()
        assert len(content) < 25e6
        assert hashlib.sha256(content).hexdigest() in card
    assert "not a medical device" in card


def test_the_networks_load_and_say_what_they_learned_from() -> None:
    networks = load_networks(REGION_MODEL)
    assert networks is not None
    assert networks.identity.training_data == "images synthesised from label maps of real heads"
