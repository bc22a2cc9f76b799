"""explored_test: a cc_test of which every atomic operation is a choice point of hal/sim's explorer."""

load("@rules_cc//cc:cc_test.bzl", "cc_test")
load("//platforms:copts.bzl", "COPTS")

# The compiler calls a function for each atomic operation and access; `//hal/sim:every_atomic` has these functions
# in place of ThreadSanitizer's library, which therefore is not linked. Where functions begin and end is of no use.
_EXPLORED = [
    "-fsanitize=thread",
    "-mllvm",
    "-tsan-instrument-func-entry-exit=0",
    "-fno-omit-frame-pointer",
    "-O1",
]

# The same functions cannot be there twice, and what AddressSanitizer keeps of stacks is not kept here.
_ALONE = select({
    "//tests/explore:with_asan": ["@platforms//os:none"],
    "//tests/explore:with_tsan": ["@platforms//os:none"],
    "//conditions:default": [],
})

def explored_test(name, deps = [], copts = [], size = "small", **kwargs):
    """Code that is neither in its own sources nor in headers (`hal/sim`, GoogleTest) is not explored.

    Args:
      name: the target.
      deps: as of cc_test, besides the explorer and GoogleTest.
      copts: as of cc_test.
      size: as of cc_test.
      **kwargs: what else a cc_test takes.
    """
    cc_test(
        name = name,
        size = size,
        copts = COPTS + copts + _EXPLORED,
        target_compatible_with = _ALONE,
        deps = deps + [
            "//hal/sim",
            "//hal/sim:every_atomic",
            "@googletest//:gtest_main",
        ],
        **kwargs
    )
