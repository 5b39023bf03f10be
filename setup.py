"""Only what pyproject.toml cannot say: the compiled record codec, which an installation can do without."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "raftkafka.record._codec",
            sources=["raftkafka/record/_codec.c"],
            optional=True,  # without a compiler the Python codec does all the work
        )
    ]
)
