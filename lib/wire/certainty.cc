#include "tern/lib/wire/certainty.h"

namespace tern {

std::string_view ToString(Certainty certainty) {
  switch (certainty) {
    case Certainty::kMaybeStarted:
      return "maybe started";
    case Certainty::kNotStarted:
      return "not started";
    case Certainty::kFinished:
      return "finished";
  }
  return "maybe started";
}

}  // namespace tern
