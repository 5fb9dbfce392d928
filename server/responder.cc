#include "tern/server/responder.h"

#include "tern/lib/base/log.h"

namespace tern {

void Responder::Answer(absl::Status status) {
  if (call_ == nullptr) {
    TERN_LOG(kError) << "a responder that has answered, or been moved from, "
                        "was given an answer: "
                     << status;
    return;
  }
  EndWith(End::kAnswered, std::move(status));
}

}  // namespace tern
