// Three tasks and an interrupt push, one task takes all that is there, again and again.

#include "kernel_demo/letters.h"

#include "kernel_demo/kernel.h"
#include "sched/mailbox.h"

namespace demo {
namespace {

using Post = Kernel<sched::RoundRobin>;
using S = Post::S;

struct Letter : sched::Postable {
  uint32_t number = 0;
};

constinit sched::Mailbox mailbox;
constinit Letter letters[kProducers][kLettersEach];
constinit volatile uint32_t sent_by_interrupt = 0;
constinit volatile uint32_t producers_done = 0;
constinit Delivery delivery;

constexpr size_t kInterrupt = kProducers - 1;

void send_from_interrupt() {
  const uint32_t next = sent_by_interrupt;
  if (next == kLettersEach) return;
  mailbox.push(letters[kInterrupt][next]);
  sent_by_interrupt = next + 1;
}

void produce(void* own) {
  for (uint32_t n = 0; n < kLettersEach; ++n) {
    mailbox.push(static_cast<Letter*>(own)[n]);
    Machine::kick(0);
  }
  const S::NoPreempt guard;
  producers_done = producers_done + 1;
}

void take_all() {
  sched::PostQueue youngest_first = mailbox.take_all();
  sched::PostQueue oldest_first;
  while (sched::Postable* const post = youngest_first.pop_front()) oldest_first.push_front(*post);
  while (const sched::Postable* const post = oldest_first.pop_front()) {
    const auto* const letter = static_cast<const Letter*>(post);
    const size_t producer = static_cast<size_t>(letter - letters[0]) / kLettersEach;
    delivery.in_order &= letter->number == delivery.received[producer];
    ++delivery.received[producer];
  }
}

}  // namespace

Delivery deliver_letters() {
  for (auto& of_one : letters) {
    for (uint32_t i = 0; i < kLettersEach; ++i) of_one[i].number = i;
  }
  mailbox.open();
  sent_by_interrupt = 0;
  producers_done = 0;
  delivery = {};
  Post::at_kick(send_from_interrupt);
  const uint64_t before = Post::finished();
  {
    const S::NoPreempt guard;
    for (size_t i = 0; i < kInterrupt; ++i) {
      Post::spawn(Text("producer {}", i), produce, letters[i], {.slice = microseconds(100)});
    }
    // Slices of another length, so that they meet in ever new ways.
    Post::spawn("consumer",
                [](void*) {
                  while (producers_done < kInterrupt || !mailbox.empty()) take_all();
                },
                nullptr, {.slice = microseconds(130)});
  }
  Post::wait_for_finished(before + kProducers);
  Post::at_kick(nullptr);
  take_all();  // of interrupts that came after the consumer had looked for the last time
  delivery.sent.fill(kLettersEach);
  delivery.sent[kInterrupt] = sent_by_interrupt;
  return delivery;
}

}  // namespace demo
