// What bytes from a terminal make of a line.

#include "kernel_demo/shell/line_editor.h"

#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

namespace demo {
namespace {

using Event = LineEditor::Event;

/// Everything that came of some bytes: lines, `^C` for an abandoned one, `^D` for the end.
struct Outcome {
  std::vector<std::string> lines;
  std::string echo;
};

Outcome type(std::string_view bytes) {
  LineEditor editor;
  Outcome outcome;
  for (const char c : bytes) {
    const Event event = editor.feed(c);
    outcome.echo += editor.echo();
    if (event == Event::line) outcome.lines.emplace_back(editor.line());
    if (event == Event::abandoned) outcome.lines.push_back("^C");
    if (event == Event::end) outcome.lines.push_back("^D");
  }
  return outcome;
}

using Lines = std::vector<std::string>;

TEST(LineEditorTest, LinesEndWithReturnNewlineOrBoth) {
  EXPECT_EQ(type("ps\ntop\rstats\r\n\n").lines, (Lines{"ps", "top", "stats", ""}));
  EXPECT_EQ(type("\r\r").lines, (Lines{"", ""}));
  EXPECT_EQ(type("\n\r").lines, (Lines{"", ""}));
}

TEST(LineEditorTest, WhatIsTypedIsEchoed) { EXPECT_EQ(type("ps a\r").echo, "ps a\n"); }

TEST(LineEditorTest, BackspaceTakesBack) {
  EXPECT_EQ(type("helx\bp\n").lines, (Lines{"help"}));
  EXPECT_EQ(type("helx\x7fp\n").lines, (Lines{"help"}));
  EXPECT_EQ(type("a\b").echo, "a\b \b");
}

TEST(LineEditorTest, BackspaceAtTheBeginningDoesNothing) {
  EXPECT_EQ(type("\b\x7f").echo, "");
  EXPECT_EQ(type("a\b\bb\n").lines, (Lines{"b"}));
}

TEST(LineEditorTest, ControlCAbandonsTheLine) {
  EXPECT_EQ(type("kill all\x03ps\n").lines, (Lines{"^C", "ps"}));
  EXPECT_EQ(type("\x03").echo, "^C\n");
}

TEST(LineEditorTest, ControlDEndsOnAnEmptyLineOnly) {
  EXPECT_EQ(type("\x04").lines, (Lines{"^D"}));
  EXPECT_EQ(type("p\x04s\n").lines, (Lines{"ps"}));
}

TEST(LineEditorTest, ALineThatIsFullRingsAndStays) {
  const std::string full(LineEditor::kLongest, 'x');
  const Outcome outcome = type(full + "yz\n");
  EXPECT_EQ(outcome.lines, (Lines{full}));
  EXPECT_EQ(outcome.echo, full + "\a\a\n");
}

TEST(LineEditorTest, KeysOfSeveralBytesDoNothing) {
  EXPECT_EQ(type("p\x1b[As\n").lines, (Lines{"ps"}));
  EXPECT_EQ(type("p\x1b[1;5Cs\n").lines, (Lines{"ps"}));
  EXPECT_EQ(type("p\x1bOPs\n").lines, (Lines{"ps"}));
  EXPECT_EQ(type("\x1b[A").echo, "");
}

TEST(LineEditorTest, OtherControlCharactersRing) {
  const Outcome outcome = type("a\x01\n");
  EXPECT_EQ(outcome.lines, (Lines{"a"}));
  EXPECT_EQ(outcome.echo, "a\a\n");
}

TEST(LineEditorTest, TabIsABlank) { EXPECT_EQ(type("nice\ta\n").lines, (Lines{"nice a"})); }

}  // namespace
}  // namespace demo
