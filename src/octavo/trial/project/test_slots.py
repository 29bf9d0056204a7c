"""What `slots` promises."""

import unittest

from slots import free


def at(hour, minute=0):
    return hour * 60 + minute


class Free(unittest.TestCase):
    def test_a_day_without_meetings_is_free(self):
        self.assertEqual(free([]), [(at(9), at(17))])

    def test_meetings_that_touch_leave_no_gap(self):
        meetings = [(at(10), at(11)), (at(11), at(12))]
        self.assertEqual(free(meetings), [(at(9), at(10)), (at(12), at(17))])

    def test_a_call_in_the_middle_of_a_workshop_does_not_end_it(self):
        workshop, call = (at(10), at(16)), (at(11), at(11, 30))
        self.assertEqual(free([workshop, call]), [(at(9), at(10)), (at(16), at(17))])


if __name__ == "__main__":
    unittest.main()
