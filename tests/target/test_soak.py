# SPDX-License-Identifier: BSD-3-Clause
"""A short run of the soak test."""

from tests.soak.soak import ROUND, Soak as SoakTest


class ShortSoak(SoakTest):
    """Until each of the four VMs has ended a few times."""

    LIMIT = 900

    def test_soak(self) -> None:
        # What if four VMs with disks and network end, reset and are killed at random? Nothing is
        # lost of what a guest was told is on its disk, and nothing is left behind.
        session = self.begin(seed=1)
        while len(ROUND.findall(session.text)) < 6:
            self.watch(session, 2.0)
        counted = self.end(session)
        self.assertTrue(counted["kill"] and counted["end"])
