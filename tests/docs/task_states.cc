// Draws the states of a task, and what leads from one to another, as an SVG on standard output.
// What is legal is asked of `is_legal` in sched/task.h; a change of the table without a word for it
// here, or a word for what is not legal, is an error.
//
//     ./bazelw run //tests/docs:task_states > docs/task_states.svg

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>

#include "sched/scheduler.h"

namespace sched {
namespace {

struct Node {
  State state;
  const char* name;
  double x, y;
};
constexpr std::array<Node, 7> kNodes = {{
    {State::fresh, "fresh", 110, 60},
    {State::ready, "ready", 250, 210},
    {State::running, "running", 650, 210},
    {State::finished, "finished", 450, 60},
    {State::suspended, "suspended", 250, 420},
    {State::blocked, "blocked", 650, 420},
    {State::suspended_blocked, "suspended_blocked", 450, 540},
}};

struct Edge {
  State from, to;
  const char* why;
};
constexpr std::array<Edge, 14> kEdges = {{
    {State::fresh, State::ready, "spawn"},
    {State::ready, State::running, "is picked"},
    {State::running, State::ready, "loses the CPU"},
    {State::ready, State::suspended, "suspend"},
    {State::running, State::suspended, "suspend"},
    {State::suspended, State::ready, "resume"},
    {State::running, State::blocked, "park, sleep"},
    {State::blocked, State::ready, "wake"},
    {State::blocked, State::suspended_blocked, "suspend"},
    {State::suspended_blocked, State::blocked, "resume"},
    {State::suspended_blocked, State::suspended, "wake"},
    {State::ready, State::finished, "kill before it ran"},
    {State::running, State::finished, "exit"},
    {State::finished, State::ready, "spawn"},
}};

const char* word_for(State from, State to) {
  for (const Edge& edge : kEdges) {
    if (edge.from == from && edge.to == to) return edge.why;
  }
  return nullptr;
}

double half_width(const Node& node) { return node.state == State::suspended_blocked ? 85 : 55; }

// An arrow that bends to its left, so that those of a pair are apart.
void draw_edge(const Node& from, const Node& to, const char* why) {
  constexpr double kHalfHeight = 18, kBend = 26;
  const double dx = to.x - from.x, dy = to.y - from.y, length = std::hypot(dx, dy);
  const double bend_x = (from.x + to.x) / 2 + dy / length * kBend;
  const double bend_y = (from.y + to.y) / 2 - dx / length * kBend;
  // Where the line from the bend to a node's middle meets its border.
  const auto border = [&](const Node& node, double& x, double& y) {
    const double vx = bend_x - node.x, vy = bend_y - node.y;
    const double across = std::fabs(vx) / half_width(node), down = std::fabs(vy) / kHalfHeight;
    const double scale = across > down ? across : down;
    x = node.x + vx / scale;
    y = node.y + vy / scale;
  };
  double x1, y1, x2, y2;
  border(from, x1, y1);
  border(to, x2, y2);
  std::printf("<path d=\"M%.0f %.0fQ%.0f %.0f %.0f %.0f\"/>\n", x1, y1, bend_x, bend_y, x2, y2);
  // Beside the arrow, nearer to where it begins: in the middle others cross.
  constexpr double kAt = 0.4, kBeside = 8;
  const auto at_label = [](double a, double bend, double b) {
    return (1 - kAt) * (1 - kAt) * a + 2 * kAt * (1 - kAt) * bend + kAt * kAt * b;
  };
  const double beside_x = dy / length * kBeside, beside_y = -dx / length * kBeside;
  const char* const anchor = beside_x > 2 ? "start" : beside_x < -2 ? "end" : "middle";
  std::printf("<text class=\"why\" x=\"%.0f\" y=\"%.0f\" text-anchor=\"%s\">%s</text>\n",
              at_label(x1, bend_x, x2) + beside_x, at_label(y1, bend_y, y2) + beside_y + 4, anchor,
              why);
}

int draw() {
  std::printf(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 600\" width=\"800\" "
      "height=\"600\" font-family=\"sans-serif\" text-anchor=\"middle\">\n"
      "<!-- By //tests/docs:task_states, from the table in sched/task.h. -->\n"
      "<style>rect{fill:#fff;stroke:#345;stroke-width:1.5}path{fill:none;stroke:#567;"
      "marker-end:url(#to)}.why{font-size:12px;fill:#345}.state{font-size:15px}</style>\n"
      "<defs><marker id=\"to\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" "
      "markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" style=\"fill:#567;"
      "stroke:none\"/></marker></defs>\n"
      "<rect width=\"800\" height=\"600\" style=\"stroke:none\"/>\n");
  for (const Node& from : kNodes) {
    for (const Node& to : kNodes) {
      const char* const why = word_for(from.state, to.state);
      if (is_legal(from.state, to.state) != (why != nullptr)) {
        std::fprintf(stderr, "%s to %s: %s\n", from.name, to.name,
                     why == nullptr ? "legal, and no word for it" : "not legal");
        return 1;
      }
      if (why != nullptr) draw_edge(from, to, why);
    }
  }
  for (const Node& node : kNodes) {
    std::printf("<rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"36\" rx=\"8\"/>\n",
                node.x - half_width(node), node.y - 18, 2 * half_width(node));
    std::printf("<text class=\"state\" x=\"%.0f\" y=\"%.0f\">%s</text>\n", node.x, node.y + 5,
                node.name);
  }
  std::printf("</svg>\n");
  return 0;
}

}  // namespace
}  // namespace sched

int main() { return sched::draw(); }
