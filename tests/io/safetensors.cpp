// SPDX-License-Identifier: MIT
#include <selgate/io/safetensors.hpp>

#include <cstdint>
#include <string>

#include "catch.hpp"

using selgate::Dtype;
using selgate::SafetensorsHeader;
using selgate::Tensor;
using selgate::detail::checked_size;
using selgate::detail::shape_text;
using selgate::detail::shown;

TEST_CASE("safetensors: types") {
  CHECK(selgate::dtype_of<float>() == Dtype::f32);
  CHECK(selgate::dtype_of<double>() == Dtype::f64);
  CHECK(size_of(Dtype::f32) == sizeof(float));
  CHECK(size_of(Dtype::f64) == sizeof(double));
  CHECK(name_of(Dtype::f32) == std::string("F32"));
  CHECK(name_of(Dtype::f64) == std::string("F64"));
}

TEST_CASE("safetensors: sizes") {
  CHECK(SafetensorsHeader{}.data_size() == 0);
  CHECK(SafetensorsHeader{.metadata = {},
                          .tensors = {{"a", Dtype::f32, {2}, 0, 8}, {"b", Dtype::f64, {1}, 8, 16}}}
            .data_size() == 16);
  const auto size = [](const selgate::Shape& shape, std::uint64_t begin = 0) {
    return checked_size({"a", Dtype::f64, shape, begin, begin});
  };
  CHECK(size({}) == 8);
  CHECK(size({2, 3}, 100) == 48);
  const std::int64_t huge = std::int64_t{1} << 60;  // of 8 bytes each, one too many
  CHECK(size({huge - 1}) == 8 * static_cast<std::uint64_t>(huge - 1));
  CHECK(size({huge - 1}, 7).has_value());
  CHECK_FALSE(size({huge - 1}, 8).has_value());
  CHECK_FALSE(size({huge}).has_value());
  CHECK(size({0, huge, huge, huge}) == 0);
}

TEST_CASE("safetensors: shapes and bytes in messages") {
  CHECK(shape_text({}) == "[]");
  CHECK(shape_text({3, 0, 14}) == "[3,0,14]");
  CHECK(shown("a\"\\\n\x7F\xFF~ ") == R"("a\"\\\x0a\x7f\xff~ ")");
  CHECK(shown(std::string(64, 'a')) == '"' + std::string(64, 'a') + '"');
  CHECK(shown(std::string(65, 'a')) == '"' + std::string(64, 'a') + "\"...");
}
