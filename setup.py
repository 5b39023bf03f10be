"""Only what pyproject.toml cannot say: what is compiled, which an installation can do without."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "raftkafka.record._codec",
            sources=["raftkafka/record/_codec.c"],
            optional=True,  # without a compiler the Python codec does all the work
        ),
        Extension("raftkafka.client._fast", sources=["raftkafka/client/_fast.c"], optional=True),
        Extension("raftkafka.adapters._syncs", sources=["raftkafka/adapters/_syncs.c"], optional=True),
        Extension("raftkafka.model._passing", sources=["raftkafka/model/_passing.c"], optional=True),
    ]
)
