"""User programs: user_program links one, user_programs embeds some in a kernel image."""

load("@rules_cc//cc:cc_binary.bzl", "cc_binary")
load("@rules_cc//cc:cc_library.bzl", "cc_library")

def user_program(name, deps = [], linkopts = [], **kwargs):
    """A user program: an ELF file of its own, linked at 0x400000 for the platform that is being built for.

    It defines `extern "C" int64_t user_main(uint64_t argument)`, whose value is its exit status, and
    calls the kernel by kernel_demo/user/system.h. Freestanding C++23 like the kernel.

    Args:
      name: the target, and the program's name in the kernel, at most 15 characters.
      deps: as of cc_binary.
      linkopts: as of cc_binary.
      **kwargs: everything else that a cc_binary takes.
    """
    script = str(Label("//kernel_demo/user:program.ld"))
    cc_binary(
        name = name,
        additional_linker_inputs = [script],
        linkopts = ["-Wl,-T,$(location %s)" % script] + linkopts,
        linkstatic = True,
        target_compatible_with = ["@platforms//os:none"],
        deps = deps + [
            str(Label("//kernel_demo/user:start")),
            str(Label("//kernel_demo/user:system")),
            str(Label("//platforms/runtime")),
        ],
        **kwargs
    )

def user_programs(name, programs, shared_scheduler = None, **kwargs):
    """A library that embeds user programs in the image that it is linked into: `demo::programs()`.

    An image has one of these.

    Args:
      name: the target.
      programs: user_program targets, whose names are the programs'.
      shared_scheduler: a shared_scheduler_image for programs to map, if they may: `demo::shared_scheduler()`.
      **kwargs: visibility, testonly, ...
    """
    names = [program.split(":")[-1] for program in programs]
    files = programs + ([shared_scheduler] if shared_scheduler else [])
    assembly = []
    declarations = []
    rows = []
    for program, label in zip(names + ["_shared_scheduler"], files):
        assembly += [
            ".globl user_program_%s, user_program_%s_end" % (program, program),
            ".balign 16",
            "user_program_%s:" % program,
            ".incbin \"$(execpath %s)\"" % label,
            "user_program_%s_end:" % program,
        ]
        declarations.append("extern const std::byte user_program_%s[], user_program_%s_end[];" % (program, program))
        if label != shared_scheduler:
            rows.append("{\"%s\", user_program_%s, user_program_%s_end}," % (program, program, program))
    source = [
        "// Written by user_programs: the embedded programs, and their table.",
        "#include \"kernel_demo/user/program.h\"",
        "asm(R\"(",
        ".section .rodata.user_programs, \"a\", %progbits",
    ] + assembly + [
        ".text",
        ")\");",
        "extern \"C\" {",
    ] + declarations + [
        "}",
        "namespace demo {",
        "std::span<const Program> programs() {",
        "static constexpr Program kAll[] = {",
    ] + rows + [
        "};",
        "return kAll;",
        "}",
        "std::span<const std::byte> shared_scheduler() {",
        "return {user_program__shared_scheduler, user_program__shared_scheduler_end};" if shared_scheduler else "return {};",
        "}",
        "}  // namespace demo",
    ]
    native.genrule(
        name = name + "_source",
        srcs = files,
        outs = [name + ".cc"],
        # What the assembly includes is in no dependency file: their digests make this another source
        # when they change.
        cmd = "{ sha256sum $(SRCS) | sed 's|^|// |' && cat; } > $@ <<'END'\n%s\nEND" % "\n".join(source),
        target_compatible_with = ["@platforms//os:none"],
        **kwargs
    )
    cc_library(
        name = name,
        srcs = [name + ".cc"],
        target_compatible_with = ["@platforms//os:none"],
        # What the assembly includes is an input of the compiler's.
        textual_hdrs = files,
        deps = [str(Label("//kernel_demo/user:program"))],
        **kwargs
    )
