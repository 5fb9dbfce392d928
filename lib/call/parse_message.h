#ifndef TERN_LIB_CALL_PARSE_MESSAGE_H_
#define TERN_LIB_CALL_PARSE_MESSAGE_H_

#include <string_view>

#include "google/protobuf/message_lite.h"

namespace tern {

// Whether `bytes` are a message of that type, with all that it requires. They
// are at most INT32_MAX, as a message is on the wire.
inline bool ParseMessage(std::string_view bytes,
                         google::protobuf::MessageLite* message) {
  // Partial: else protobuf logs what a peer leaves out.
  return message->ParsePartialFromArray(bytes.data(),
                                        static_cast<int>(bytes.size())) &&
         message->IsInitialized();
}

}  // namespace tern

#endif  // TERN_LIB_CALL_PARSE_MESSAGE_H_
