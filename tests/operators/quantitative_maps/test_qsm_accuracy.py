"""QSM against the susceptibility that a whole simulated head really has."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from apps.phantom.anatomy import Anatomy
from apps.phantom.lesions import Burden
from apps.phantom.subject import simulate
from apps.phantom.types import Planted, Protocol, Subject
from operators.brain_mask import brain_mask
from operators.quantitative_maps.qsm import susceptibility
from operators.quantitative_maps.settings import QsmSettings
from operators.types import Role

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def subject(template_head: Anatomy) -> Subject:
    return simulate(
        2, anatomy=template_head, protocol=Protocol(voxel_mm=(2.2, 1.1, 1.1)),
        burden=Burden(microbleeds=10),
    )


@pytest.fixture(scope="module")
def chi(subject: Subject) -> NDArray[np.float32]:
    magnitude, phase = subject.images[Role.MAGNITUDE], subject.images[Role.PHASE]
    return susceptibility(
        magnitude.volumes, phase.volumes, subject.protocol.echo_times_ms,
        field_strength_t=subject.protocol.field_strength_t, settings=QsmSettings(),
        mask=brain_mask(magnitude.volumes[0], role=Role.MAGNITUDE),
    ).array


def test_correlation_in_the_brain_is_three_quarters(subject: Subject, chi: NDArray) -> None:
    reached = subject.truth.brain.array & (chi != 0)
    assert reached.sum() > 0.85 * subject.truth.brain.array.sum()
    truth = subject.truth.susceptibility_ppm.array
    assert np.corrcoef(chi[reached], truth[reached])[0, 1] >= 0.75


@pytest.mark.xfail(reason="slope 0.74 where 0.8 is wanted, rim bleeds (simulated)", strict=True)
def test_microbleeds_keep_their_susceptibility(subject: Subject, chi: NDArray) -> None:
    labels, truth = subject.truth.lesions.array, subject.truth.susceptibility_ppm.array
    bleeds = [
        labels == one.index for one in subject.truth.planted
        if one.kind is Planted.MICROBLEED and (labels == one.index).any()
    ]
    pairs = np.array([(truth[where].mean(), chi[where].mean()) for where in bleeds])
    assert len(pairs) >= 5
    assert 0.8 <= np.polyfit(pairs[:, 0], pairs[:, 1], 1)[0] <= 1.2
