#!/bin/bash
#
# Builds and boots the kernel of this workspace as its author would: for each platform by name, and as tests.

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
for cpu in aarch64 riscv64 x86_64; do
  ../../bazelw build --noshow_progress "--platforms=@baton//platforms:${cpu}" //:kernel
done
../../bazelw test --noshow_progress --test_output=errors //:aarch64_test //:riscv64_test //:x86_64_test
