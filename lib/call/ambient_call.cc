#include "tern/lib/call/ambient_call.h"

#include <utility>

namespace tern {
namespace {

thread_local const AmbientCall* current_call = nullptr;

}  // namespace

const AmbientCall* CurrentAmbientCall() { return current_call; }

const AmbientCall* ExchangeAmbientCall(const AmbientCall* call) {
  return std::exchange(current_call, call);
}

AmbientCallScope::AmbientCallScope(const AmbientCall* call)
    : previous_(current_call) {
  current_call = call;
}

AmbientCallScope::~AmbientCallScope() { current_call = previous_; }

}  // namespace tern
