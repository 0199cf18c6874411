"""The studies by name."""

import difflib

from torchinception.errors import UsageError
from torchinception.studies.auxiliary import AUXILIARY
from torchinception.studies.batchnorm import BATCHNORM
from torchinception.studies.factorization import FACTORIZATION
from torchinception.studies.ladder import LADDER
from torchinception.studies.reduction import REDUCTION
from torchinception.studies.residual import RESIDUAL
from torchinception.studies.study import Study

STUDIES: dict[str, Study] = {
    study.name: study for study in (AUXILIARY, REDUCTION, BATCHNORM, FACTORIZATION, LADDER, RESIDUAL)
}


def find_study(name: str) -> Study:
    """A study.

    Raises:
        UsageError: none has that name; the nearest one is named.
    """
    if name in STUDIES:
        return STUDIES[name]
    near = difflib.get_close_matches(name, STUDIES, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(f"no study named {name}; {hint}studies: {', '.join(STUDIES)}")
