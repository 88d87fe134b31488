"""A campaign of faults on the link of a board in Python: no wrong answer is accepted, and a wrong board is noticed."""

import pytest
from faults import KNOWN_SHAPE, campaign
from networks import random_ndt
from reference_board import Networks, ReferenceBoard

from edgendt.engine.compile import compile_program
from edgendt.engine.config import Engine
from edgendt.engine.device import Device
from edgendt.engine.protocol import Status

SMALL = Engine.named("small")
KNOWN = [compile_program(random_ndt(seed, **KNOWN_SHAPE), SMALL) for seed in range(2)]


@pytest.mark.parametrize("seed", range(3))
def test_no_wrong_answer_is_accepted(seed):
    report = campaign(ReferenceBoard(*KNOWN), KNOWN, 54, seed)
    assert report.wrong == []
    assert report.cases.total() == 54 and set(report.cases.values()) == {6}
    assert report.faults > 54 and report.accepted > 27 and report.refused > 9


class AnswersAnyway(Device):
    """Answers while it is being loaded."""

    def _begin(self, body):
        status = super()._begin(body)
        self.ready = self.ready or status is Status.OK
        return status


class TakesAnyImage(Device):
    """Does not look at the image's CRC."""

    def _commit(self, crc):
        self.running_crc = crc
        return super()._commit(crc)


class SkipsABin(Device):
    """Computes a repeated packet again."""

    def _counts(self, data, body):
        if data == self.last:
            self.bin, self.last = self.bin - 1, None
        return super()._counts(data, body)


@pytest.mark.parametrize("kind", [AnswersAnyway, TakesAnyImage, SkipsABin])
def test_a_board_that_breaks_the_protocol_is_noticed(kind):
    board = ReferenceBoard(*KNOWN)
    press = board.press

    def pressed():
        press()
        board.device = kind(KNOWN[0].image.engine_id, Networks(*KNOWN))

    board.press = pressed
    pressed()
    assert campaign(board, KNOWN, 160, 1).wrong
