// The ring of records, and the words for them.

#include "hal/sim/log.h"

#include <cstdarg>
#include <cstdio>
#include <string>
#include <utility>

namespace hal::sim {
namespace {

__attribute__((format(printf, 1, 2))) std::string printed(const char* format, ...) {
  char line[160];
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  return line;
}

}  // namespace

void Log::mix(uint64_t value) {
  fingerprint_ = (fingerprint_ ^ value) * 0x100000001b3;
  fingerprint_ ^= fingerprint_ >> 29;
}

void Log::record(Instant at, CpuNumber cpu, What what, uint64_t a, uint64_t b, std::string text) {
  mix(at.ticks);
  mix(uint64_t{cpu} << 8 | static_cast<uint64_t>(what));
  mix(a);
  mix(b);
  for (const char c : text) mix(static_cast<unsigned char>(c));
  ++recorded_;
  if (length_ == 0) return;
  Record entry{at, cpu, what, a, b, std::move(text)};
  if (records_.size() < length_) {
    records_.push_back(std::move(entry));
  } else {
    records_[(recorded_ - 1) % length_] = std::move(entry);
  }
}

std::string Log::text() const {
  std::string text = title_ + "\n";
  const size_t gone = recorded_ - records_.size();
  if (gone > 0) text += printed("(%zu earlier records are gone)\n", gone);
  for (size_t i = 0; i < records_.size(); ++i) {
    const Record& record = records_[(gone + i) % records_.size()];
    text += printed("%12llu  CPU %u  ", static_cast<unsigned long long>(record.at.ticks),
                    unsigned{record.cpu});
    text += describe(record) + "\n";
  }
  return text;
}

std::string Log::describe(const Record& record) {
  const auto a = static_cast<unsigned long long>(record.a);
  const auto b = static_cast<unsigned long long>(record.b);
  switch (record.what) {
    case What::boot: return "boots";
    case What::start: return printed("start_cpu, number %llu", a);
    case What::done: return "boot code returned";
    case What::arm: return record.a >= never.ticks ? "arm never" : printed("arm %llu", a);
    case What::take_timer: return "takes the timer's interrupt";
    case What::take_kick: return "takes a kick";
    case What::take_device: return printed("takes the interrupt of line %llu", a);
    case What::preempt: return "preempt";
    case What::kick: return printed("kicks CPU %llu", a);
    case What::switched: return printed("switch from stack %llu to %llu", a, b);
    case What::wait: return "waits";
    case What::woken: return "woken";
    case What::let_in: return printed("lets others in for %llu", a);
    case What::load_space: return printed("loads space %llu", a);
    case What::stop: return "stops the run";
    case What::panic: return "panic: " + record.text;
    case What::misuse: return "misuse: " + record.text;
    case What::steps: return "has used up the steps";
    case What::note: return record.text;
  }
  return "";
}

}  // namespace hal::sim
