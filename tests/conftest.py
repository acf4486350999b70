"""What all tests share: hypothesis tries the same examples on every run, and never fails for being slow."""

from hypothesis import settings

settings.register_profile("tensorferry", derandomize=True, deadline=None, database=None, max_examples=60)
settings.load_profile("tensorferry")
