"""The cut into parts keeps S3's limits and loses no byte, whatever the size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.jobs.transfer_parts import (
    MAX_OBJECT_BYTES,
    MAX_PART_BYTES,
    MAX_PARTS,
    MIB,
    MIN_PART_BYTES,
    UPLOAD_PART_BYTES,
    needs_parts,
    plan_copies,
    upload_part_size,
)

GIB = 1 << 30
bodies = st.tuples(
    st.integers(10, 128 << 10),
    st.one_of(
        st.integers(2 * MIN_PART_BYTES, 200 * MIB),
        st.integers(2 * MIN_PART_BYTES, 200 * GIB),
        st.integers(2 * MIN_PART_BYTES, MAX_OBJECT_BYTES),
    ),
).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(bodies)
def test_copied_parts_cover_the_body_within_the_limits(body: tuple[int, int]) -> None:
    start, end = body
    plan = plan_copies(start, end)
    assert plan.held_end - start >= MIN_PART_BYTES
    position = plan.held_end
    for number, part in enumerate(plan.middle, start=2):
        assert (part.number, part.first) == (number, position)
        assert MIN_PART_BYTES <= part.size <= MAX_PART_BYTES
        position = part.last + 1
    assert position == end
    assert plan.last_number == len(plan.middle) + 2 <= MAX_PARTS


@given(st.integers(0, MAX_OBJECT_BYTES))
def test_uploaded_parts_stay_within_the_limits(length: int) -> None:
    size = upload_part_size(length)
    assert MIN_PART_BYTES <= size <= MAX_PART_BYTES
    assert -(-length // size) + 2 <= MAX_PARTS


@given(st.integers(0, (MAX_PARTS - 2) * UPLOAD_PART_BYTES))
def test_buffers_stay_small_up_to_52_gb(length: int) -> None:
    assert upload_part_size(length) == UPLOAD_PART_BYTES


@pytest.mark.parametrize(
    ("length", "expected"), [(2 * MIN_PART_BYTES - 1, False), (2 * MIN_PART_BYTES, True), (0, False)]
)
def test_small_bodies_need_no_parts(length: int, expected: bool) -> None:
    assert needs_parts(18, 18 + length) is expected
