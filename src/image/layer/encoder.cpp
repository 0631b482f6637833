#include "image/layer/encoder.hpp"

#include <fmt/core.h>
#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include "sys/fd.hpp"

namespace berth::image {
namespace {

constexpr std::size_t kOutputBytes = 256 << 10;
constexpr int kGzipLevel = 3;  // igzip's best
constexpr int kZstdLevel = 3;  // zstd's default

class PlainEncoder final : public Encoder {
 public:
  explicit PlainEncoder(int out) : Encoder(out) {}

 private:
  Result<void> compress(std::string_view bytes, bool) override { return put(bytes); }
};

class GzipEncoder final : public Encoder {
 public:
  explicit GzipEncoder(int out)
      : Encoder(out),
        stream_(std::make_unique<isal_zstream>()),
        level_(ISAL_DEF_LVL3_DEFAULT),
        output_(kOutputBytes) {
    isal_deflate_init(stream_.get());
    stream_->gzip_flag = IGZIP_GZIP;  // with an empty header: no name, no time
    stream_->level = kGzipLevel;
    stream_->level_buf = level_.data();
    stream_->level_buf_size = static_cast<std::uint32_t>(level_.size());
  }

 private:
  Result<void> compress(std::string_view bytes, bool last) override {
    stream_->next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(bytes.data()));
    stream_->avail_in = static_cast<std::uint32_t>(bytes.size());
    stream_->end_of_stream = last ? 1 : 0;
    do {
      stream_->next_out = output_.data();
      stream_->avail_out = static_cast<std::uint32_t>(output_.size());
      const int status = isal_deflate(stream_.get());
      if (status != COMP_OK)
        return fail(Code::Internal, fmt::format("cannot compress: igzip error {}", status));
      TRY(put({reinterpret_cast<const char*>(output_.data()), output_.size() - stream_->avail_out}));
    } while (stream_->avail_out == 0 || stream_->avail_in > 0);
    return {};
  }

  std::unique_ptr<isal_zstream> stream_;
  std::vector<std::uint8_t> level_;
  std::vector<std::uint8_t> output_;
};

class ZstdEncoder final : public Encoder {
 public:
  explicit ZstdEncoder(int out) : Encoder(out), context_(ZSTD_createCCtx()), output_(kOutputBytes) {
    BERTH_ASSERT(context_ != nullptr);
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, kZstdLevel);
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1);
  }

 private:
  Result<void> compress(std::string_view bytes, bool last) override {
    ZSTD_inBuffer source{bytes.data(), bytes.size(), 0};
    for (;;) {
      ZSTD_outBuffer target{output_.data(), output_.size(), 0};
      const std::size_t left =
          ZSTD_compressStream2(context_.get(), &target, &source, last ? ZSTD_e_end : ZSTD_e_continue);
      if (ZSTD_isError(left) != 0)
        return fail(Code::Internal, fmt::format("cannot compress: {}", ZSTD_getErrorName(left)));
      TRY(put({output_.data(), target.pos}));
      if (last ? left == 0 : source.pos == source.size) return {};
    }
  }

  struct Closer {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  std::unique_ptr<ZSTD_CCtx, Closer> context_;
  std::vector<char> output_;
};

}  // namespace

std::unique_ptr<Encoder> Encoder::make(int out, Compression compression) {
  switch (compression) {
    case Compression::Gzip:
      return std::make_unique<GzipEncoder>(out);
    case Compression::Zstd:
      return std::make_unique<ZstdEncoder>(out);
    case Compression::None:
      break;
  }
  return std::make_unique<PlainEncoder>(out);
}

Result<void> Encoder::write(std::string_view archive_bytes) {
  archive_hash_.update(archive_bytes);
  return compress(archive_bytes, false);
}

Result<void> Encoder::put(std::string_view compressed) {
  blob_hash_.update(compressed);
  size_ += compressed.size();
  return sys::write_all(out_, compressed);
}

Result<PackedLayer> Encoder::finish() {
  TRY(compress({}, true));
  return PackedLayer{blob_hash_.finish(), archive_hash_.finish(), size_};
}

}  // namespace berth::image
