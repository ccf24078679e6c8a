from drivers.virtual.faults import Faults, Trouble


def test_a_trouble_strikes_once_unless_told_otherwise():
    faults = Faults()
    faults.arm(Trouble.JAM)
    assert [faults.strikes(Trouble.JAM) for _ in range(2)] == [True, False]


def test_a_trouble_strikes_as_often_as_armed():
    faults = Faults()
    faults.arm(Trouble.JAM, times=2)
    assert [faults.strikes(Trouble.JAM) for _ in range(3)] == [True, True, False]


def test_occasions_pass_unharmed_before_a_trouble_strikes():
    faults = Faults()
    faults.arm(Trouble.LOSE_INDICATION, after=2)
    assert [faults.strikes(Trouble.LOSE_INDICATION) for _ in range(4)] == [False, False, True, False]


def test_a_standing_trouble_strikes_until_cleared():
    faults = Faults()
    faults.arm(Trouble.JAM, times=None)
    faults.arm(Trouble.BUSY, times=None)
    assert all(faults.strikes(Trouble.JAM) for _ in range(5))
    faults.clear(Trouble.JAM)
    assert not faults.strikes(Trouble.JAM)
    assert faults.strikes(Trouble.BUSY)
    faults.clear()
    assert not faults.strikes(Trouble.BUSY)


def test_of_several_troubles_the_first_asked_for_strikes():
    faults = Faults()
    faults.arm(Trouble.CLUTCH)
    faults.arm(Trouble.JAM)
    assert faults.first((Trouble.JAM, Trouble.CLUTCH)) is Trouble.JAM
    assert faults.first((Trouble.JAM, Trouble.CLUTCH)) is Trouble.CLUTCH
    assert faults.first((Trouble.JAM, Trouble.CLUTCH)) is None
