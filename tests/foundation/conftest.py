import pytest


@pytest.fixture(scope="session", autouse=True)
def keep_programs(kept_programs):
    """Compile what is compiled again and again here once."""
