#ifndef TERN_LIB_BASE_AWAIT_SAFE_H_
#define TERN_LIB_BASE_AWAIT_SAFE_H_

#include <memory>
#include <utility>

namespace tern {

// A T that owns something, in an aggregate that users write in braces where
// they await:
//
//   co_await stub.Co().Get(request, {.metadata = metadata});
//
// There, gcc 12 makes the member twice: as a temporary, and in the aggregate as
// a copy of its bytes. It destroys both. This one knows a copy of its bytes by
// its own address, moves nothing out of it, and leaves the destruction to the
// original, which lives as long. T: copyable.
template <typename T>
class AwaitSafe {
 public:
  AwaitSafe() : value_() {}
  explicit AwaitSafe(T value) : value_(std::move(value)) {}
  AwaitSafe(const AwaitSafe& other) : value_(other.value_) {}
  AwaitSafe(AwaitSafe&& other) noexcept
      : value_(other.IsOriginal() ? T(std::move(other.value_))
                                  : T(other.value_)) {}
  AwaitSafe& operator=(const AwaitSafe& other) {
    value_ = other.value_;
    return *this;
  }
  AwaitSafe& operator=(AwaitSafe&& other) noexcept {
    if (!other.IsOriginal()) return *this = std::as_const(other);
    value_ = std::move(other.value_);
    return *this;
  }
  ~AwaitSafe() {
    if (IsOriginal()) std::destroy_at(&value_);
  }

  T& operator*() { return value_; }
  const T& operator*() const { return value_; }
  T* operator->() { return &value_; }
  const T* operator->() const { return &value_; }

 private:
  bool IsOriginal() const { return self_ == this; }

  const AwaitSafe* const self_ = this;
  union {
    T value_;
  };
};

}  // namespace tern

#endif  // TERN_LIB_BASE_AWAIT_SAFE_H_
