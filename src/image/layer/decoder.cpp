#include "image/layer/decoder.hpp"

#include <fmt/core.h>
#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include "sys/fd.hpp"

namespace berth::image {
namespace {

constexpr std::size_t kInputBytes = 256 << 10;
constexpr int kMaxWindowLog =
    27;  // 128 MiB: what `zstd --long` makes and `zstd -d` takes without being asked

Failure damaged(std::string_view what) {
  return fail(Code::DataLoss, fmt::format("the {}: it is damaged", what));
}

// The compressed side: one buffer, refilled from the file.
class Input {
 public:
  Input(int blob, Progress progress) : blob_(blob), progress_(std::move(progress)), buffer_(kInputBytes) {}

  std::string_view bytes() const { return {buffer_.data() + begin_, end_ - begin_}; }
  void consume(std::size_t count) { begin_ += count; }

  // Makes at least `wanted` bytes visible unless the file ends before.
  Result<void> fill(std::size_t wanted) {
    if (begin_ == end_) begin_ = end_ = 0;
    if (begin_ + wanted > buffer_.size()) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    while (end_ - begin_ < wanted) {
      const std::size_t count = TRY(sys::read_some(blob_, std::span(buffer_).subspan(end_)));
      if (count == 0) return {};
      end_ += count;
      total_ += count;
      if (progress_) progress_(total_);
    }
    return {};
  }

 private:
  int blob_;
  Progress progress_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::uint64_t total_ = 0;
};

class PlainDecoder final : public Decoder {
 public:
  explicit PlainDecoder(Input input) : input_(std::move(input)) {}

  Result<std::size_t> read(std::span<char> out) override {
    std::size_t done = 0;
    while (done < out.size()) {
      TRY(input_.fill(1));
      const std::string_view bytes = input_.bytes().substr(0, out.size() - done);
      if (bytes.empty()) break;
      std::memcpy(out.data() + done, bytes.data(), bytes.size());
      input_.consume(bytes.size());
      done += bytes.size();
    }
    return done;
  }

 private:
  Input input_;
};

constexpr std::string_view kGzipMagic = "\x1f\x8b";

class GzipDecoder final : public Decoder {
 public:
  explicit GzipDecoder(Input input) : input_(std::move(input)), state_(std::make_unique<inflate_state>()) {
    isal_inflate_init(state_.get());
    state_->crc_flag = ISAL_GZIP;
  }

  Result<std::size_t> read(std::span<char> out) override {
    state_->next_out = reinterpret_cast<std::uint8_t*>(out.data());
    state_->avail_out = static_cast<std::uint32_t>(out.size());
    while (state_->avail_out > 0 && !at_end_) TRY(step());
    return out.size() - state_->avail_out;
  }

 private:
  Result<void> step() {
    if (state_->block_state == ISAL_BLOCK_FINISH) return next_member();
    TRY(input_.fill(1));
    const std::string_view bytes = input_.bytes();
    const std::uint32_t room = state_->avail_out;
    state_->next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(bytes.data()));
    state_->avail_in = static_cast<std::uint32_t>(bytes.size());
    const int status = isal_inflate(state_.get());
    if (status == ISAL_INCORRECT_CHECKSUM) return damaged("gzip checksum does not match");
    if (status != ISAL_DECOMP_OK)
      return damaged(fmt::format("gzip stream is malformed (igzip error {})", status));
    input_.consume(bytes.size() - state_->avail_in);
    const bool stuck = bytes.empty() && state_->avail_out == room;
    if (stuck && state_->block_state != ISAL_BLOCK_FINISH) return damaged("gzip stream ends early");
    return {};
  }

  // gzip(1) pads with zeros and writes members one after the other; anything else after a member is damage.
  Result<void> next_member() {
    TRY(input_.fill(kGzipMagic.size()));
    if (input_.bytes().starts_with(kGzipMagic)) {
      isal_inflate_reset(state_.get());
      state_->crc_flag = ISAL_GZIP;
      return {};
    }
    for (;;) {
      const std::string_view rest = input_.bytes();
      if (rest.find_first_not_of('\0') != std::string_view::npos)
        return damaged("gzip stream is followed by garbage");
      input_.consume(rest.size());
      TRY(input_.fill(1));
      if (input_.bytes().empty()) break;
    }
    at_end_ = true;
    return {};
  }

  Input input_;
  std::unique_ptr<inflate_state> state_;
  bool at_end_ = false;
};

constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";

class ZstdDecoder final : public Decoder {
 public:
  explicit ZstdDecoder(Input input) : input_(std::move(input)), context_(ZSTD_createDCtx()) {
    BERTH_ASSERT(context_ != nullptr);
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxWindowLog);
  }

  Result<std::size_t> read(std::span<char> out) override {
    ZSTD_outBuffer target{out.data(), out.size(), 0};
    while (target.pos < target.size) {
      TRY(input_.fill(1));
      const std::string_view bytes = input_.bytes();
      if (bytes.empty() && between_frames_) break;
      ZSTD_inBuffer source{bytes.data(), bytes.size(), 0};
      const std::size_t before = target.pos;
      const std::size_t status = ZSTD_decompressStream(context_.get(), &target, &source);
      if (ZSTD_isError(status) != 0) {
        return damaged(fmt::format("zstd stream is malformed ({})", ZSTD_getErrorName(status)));
      }
      if (bytes.empty() && target.pos == before) return damaged("zstd stream ends early");
      input_.consume(source.pos);
      between_frames_ = status == 0;
    }
    return target.pos;
  }

 private:
  struct Closer {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  Input input_;
  std::unique_ptr<ZSTD_DCtx, Closer> context_;
  bool between_frames_ = true;
};

// RFC 8878, 3.1.2: 0x184D2A50 to 0x184D2A5F in little-endian order.
bool is_zstd_skippable(std::string_view bytes) {
  return bytes.size() >= 4 && (static_cast<unsigned char>(bytes[0]) & 0xf0U) == 0x50 &&
         bytes.substr(1, 3) == "\x2a\x4d\x18";
}

}  // namespace

Result<std::unique_ptr<Decoder>> open_decoder(int blob, Progress progress) {
  Input input(blob, std::move(progress));
  TRY_DURING("cannot read its first bytes", input.fill(4));
  const std::string_view first = input.bytes();
  if (first.starts_with(kGzipMagic)) return std::unique_ptr<Decoder>(new GzipDecoder(std::move(input)));
  if (first.starts_with(kZstdMagic) || is_zstd_skippable(first)) {
    return std::unique_ptr<Decoder>(new ZstdDecoder(std::move(input)));
  }
  return std::unique_ptr<Decoder>(new PlainDecoder(std::move(input)));
}

}  // namespace berth::image
