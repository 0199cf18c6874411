"""`python -m torchinception` is `inception`."""

from torchinception.cli import main

main()
