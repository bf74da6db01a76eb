;; Inner loops of resizing, blurring and rounding on 32-bit floats, four at a time. Places, pitches and steps are in bytes.
;; A kernel goes on to the next multiple of 16 values (sumPairs: 4): whoever calls it keeps 64 bytes free behind each part.
;; `kernels-binary.ts` holds the assembled module:
;;   npx --package wabt@1.0.39 wat2wasm kernels.wat --output=kernels.wasm && base64 --wrap=0 kernels.wasm
(module
  (memory (export "memory") 16)

  ;; line[i] = Σ over taps of weights[tap] × rows[tap × pitch + i], from bytes to floats; at least one tap.
  (func (export "sumRows")
    (param $rows i32) (param $pitch i32) (param $weights i32) (param $taps i32) (param $line i32) (param $values i32)
    (local $end i32) (local $from i32) (local $tap i32) (local $weight v128) (local $bytes v128) (local $half v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local.set $end (i32.add (local.get $rows) (local.get $values)))
    (loop $columns
      (local.set $a (v128.const i32x4 0 0 0 0))
      (local.set $b (local.get $a))
      (local.set $c (local.get $a))
      (local.set $d (local.get $a))
      (local.set $from (local.get $rows))
      (local.set $tap (i32.const 0))
      (loop $next
        (local.set $weight
          (v128.load32_splat (i32.add (local.get $weights) (i32.shl (local.get $tap) (i32.const 2)))))
        (local.set $bytes (v128.load (local.get $from)))
        (local.set $half (i16x8.extend_low_i8x16_u (local.get $bytes)))
        (local.set $a (f32x4.add (local.get $a) (f32x4.mul (local.get $weight)
          (f32x4.convert_i32x4_u (i32x4.extend_low_i16x8_u (local.get $half))))))
        (local.set $b (f32x4.add (local.get $b) (f32x4.mul (local.get $weight)
          (f32x4.convert_i32x4_u (i32x4.extend_high_i16x8_u (local.get $half))))))
        (local.set $half (i16x8.extend_high_i8x16_u (local.get $bytes)))
        (local.set $c (f32x4.add (local.get $c) (f32x4.mul (local.get $weight)
          (f32x4.convert_i32x4_u (i32x4.extend_low_i16x8_u (local.get $half))))))
        (local.set $d (f32x4.add (local.get $d) (f32x4.mul (local.get $weight)
          (f32x4.convert_i32x4_u (i32x4.extend_high_i16x8_u (local.get $half))))))
        (local.set $from (i32.add (local.get $from) (local.get $pitch)))
        (local.set $tap (i32.add (local.get $tap) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $tap) (local.get $taps))))
      (v128.store (local.get $line) (local.get $a))
      (v128.store offset=16 (local.get $line) (local.get $b))
      (v128.store offset=32 (local.get $line) (local.get $c))
      (v128.store offset=48 (local.get $line) (local.get $d))
      (local.set $line (i32.add (local.get $line) (i32.const 64)))
      (local.set $rows (i32.add (local.get $rows) (i32.const 16)))
      (br_if $columns (i32.lt_u (local.get $rows) (local.get $end)))))

  ;; Each output pixel = Σ over its taps of weight × line pixel, cut to 0 … 1 and written `right` bytes from the last.
  ;; `starts` are bytes into the line; a tap reads the three floats of its pixel and one beyond.
  (func (export "writeLine")
    (param $line i32) (param $starts i32) (param $counts i32) (param $weights i32) (param $stride i32)
    (param $outputs i32) (param $into i32) (param $right i32)
    (local $from i32) (local $weight i32) (local $end i32) (local $sum v128)
    (local $stop i32)
    (local.set $stop (i32.add (local.get $starts) (i32.shl (local.get $outputs) (i32.const 2))))
    (loop $pixels
      (local.set $from (i32.add (local.get $line) (i32.load (local.get $starts))))
      (local.set $weight (local.get $weights))
      (local.set $end (i32.add (local.get $weights) (i32.shl (i32.load (local.get $counts)) (i32.const 2))))
      (local.set $sum (v128.const i32x4 0 0 0 0))
      (loop $next
        (local.set $sum (f32x4.add (local.get $sum)
          (f32x4.mul (v128.load32_splat (local.get $weight)) (v128.load (local.get $from)))))
        (local.set $from (i32.add (local.get $from) (i32.const 12)))
        (local.set $weight (i32.add (local.get $weight) (i32.const 4)))
        (br_if $next (i32.lt_u (local.get $weight) (local.get $end))))
      (local.set $sum (f32x4.min (f32x4.max (local.get $sum) (v128.const f32x4 0 0 0 0)) (v128.const f32x4 1 1 1 1)))
      (v128.store64_lane 0 (local.get $into) (local.get $sum))
      (v128.store32_lane offset=8 2 (local.get $into) (local.get $sum))
      (local.set $into (i32.add (local.get $into) (local.get $right)))
      (local.set $starts (i32.add (local.get $starts) (i32.const 4)))
      (local.set $counts (i32.add (local.get $counts) (i32.const 4)))
      (local.set $weights (i32.add (local.get $weights) (local.get $stride)))
      (br_if $pixels (i32.lt_u (local.get $starts) (local.get $stop)))))

  ;; into[i] = weights[0] × source[places[0] + i] + Σ over pairs of weight × (source[before + i] + source[after + i]);
  ;; `places` holds the centre, then before and after of each pair, of which there is at least one.
  (func (export "sumPairs")
    (param $source i32) (param $places i32) (param $weights i32) (param $pairs i32) (param $into i32) (param $values i32)
    (local $end i32) (local $place i32) (local $weight i32) (local $last i32) (local $sum v128)
    (local.set $end (i32.add (local.get $into) (i32.shl (local.get $values) (i32.const 2))))
    (local.set $last (i32.add (local.get $weights) (i32.shl (local.get $pairs) (i32.const 2))))
    (loop $columns
      (local.set $sum (f32x4.mul (v128.load32_splat (local.get $weights))
        (v128.load (i32.add (local.get $source) (i32.load (local.get $places))))))
      (local.set $place (local.get $places))
      (local.set $weight (local.get $weights))
      (loop $next
        (local.set $sum (f32x4.add (local.get $sum) (f32x4.mul (v128.load32_splat offset=4 (local.get $weight))
          (f32x4.add
            (v128.load (i32.add (local.get $source) (i32.load offset=4 (local.get $place))))
            (v128.load (i32.add (local.get $source) (i32.load offset=8 (local.get $place))))))))
        (local.set $place (i32.add (local.get $place) (i32.const 8)))
        (local.set $weight (i32.add (local.get $weight) (i32.const 4)))
        (br_if $next (i32.lt_u (local.get $weight) (local.get $last))))
      (v128.store (local.get $into) (local.get $sum))
      (local.set $source (i32.add (local.get $source) (i32.const 16)))
      (local.set $into (i32.add (local.get $into) (i32.const 16)))
      (br_if $columns (i32.lt_u (local.get $into) (local.get $end)))))

  ;; 255 × source to the nearest whole number, even where two are as near, within 0 … 255.
  (func (export "toBytes") (param $source i32) (param $into i32) (param $values i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $into) (local.get $values)))
    (loop $next
      (v128.store (local.get $into) (i8x16.narrow_i16x8_u
        (i16x8.narrow_i32x4_s
          (i32x4.trunc_sat_f32x4_s (f32x4.nearest (f32x4.mul (v128.const f32x4 255 255 255 255)
            (v128.load (local.get $source)))))
          (i32x4.trunc_sat_f32x4_s (f32x4.nearest (f32x4.mul (v128.const f32x4 255 255 255 255)
            (v128.load offset=16 (local.get $source))))))
        (i16x8.narrow_i32x4_s
          (i32x4.trunc_sat_f32x4_s (f32x4.nearest (f32x4.mul (v128.const f32x4 255 255 255 255)
            (v128.load offset=32 (local.get $source)))))
          (i32x4.trunc_sat_f32x4_s (f32x4.nearest (f32x4.mul (v128.const f32x4 255 255 255 255)
            (v128.load offset=48 (local.get $source))))))))
      (local.set $source (i32.add (local.get $source) (i32.const 64)))
      (local.set $into (i32.add (local.get $into) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $into) (local.get $end))))))
