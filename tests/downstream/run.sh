#!/bin/bash
#
# Builds and boots the kernel of this workspace as its author would: for each platform by name, and as tests.
# Before that, what Baton's pages say of this workspace is compared with it.

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
(cd ../.. && tests/docs/pages.sh starlark,links README.md docs/*.md docs/policies/*.md)

lines="$(wc -l < kernel.cc)"
if ((lines >= 100)); then
  echo "kernel.cc is a kernel in ${lines} lines; Baton promises one in under 100" >&2
  exit 1
fi

for cpu in aarch64 riscv64 x86_64; do
  ../../bazelw build --noshow_progress "--platforms=@baton//platforms:${cpu}" //:kernel
done
../../bazelw test --noshow_progress --test_output=errors //...
