# A container with the package and all extras, for training and evaluation.
#
#   docker build -t mppi_zoo .                                             # CPU
#   docker build -t mppi_zoo --build-arg BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04 \
#       --build-arg TORCH=torch==2.13.0 .                                  # CUDA, with --gpus all
#   docker run --rm -v "$PWD/runs:/work/runs" mppi_zoo --gin tdmpc2_equiv --gin scale/laptop \
#       --task dmc:walker-walk --out runs/walker
#
# Which build of torch is installed follows from TORCH and pip's own settings (PIP_EXTRA_INDEX_URL).
ARG BASE=python:3.12-slim
FROM ${BASE}
ARG TORCH=torch==2.13.0
ARG EXTRAS=train,report,video,humanoid,wandb,hub
ARG PIP_EXTRA_INDEX_URL=

# Python where the base has none, a compiler for torch.compile, OpenGL for videos without a display.
RUN apt-get update && apt-get install -y --no-install-recommends \
        g++ git libegl1 libosmesa6 python3 python3-dev python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN "$(command -v python || command -v python3)" -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1

WORKDIR /src
COPY . .
RUN grep -v '^torch==' constraints.txt > /tmp/constraints.txt && echo "${TORCH}" >> /tmp/constraints.txt \
    && pip install --no-cache-dir -c /tmp/constraints.txt "${TORCH}" ".[${EXTRAS}]" \
    && rm -rf build

RUN useradd --create-home --uid 10001 zoo && mkdir -p /work/runs && chown -R zoo /work
USER zoo
WORKDIR /work
ENTRYPOINT ["mppi-zoo"]
CMD ["--help"]
