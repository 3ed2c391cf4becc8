using Trainer.Torch.Interop;
using static Trainer.Torch.Interop.NativeMethods;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        /// <summary>Product, broadcast.</summary>
        public Tensor mul(Tensor target) => Native.Own(tn_mul(handle, target.handle, out var result), result);

        /// <summary>Product, broadcast.</summary>
        public Tensor mul(Scalar target) => Native.Own(tn_mul_scalar(handle, target, out var result), result);

        /// <summary>Quotient, broadcast.</summary>
        public Tensor div(Tensor target) => Native.Own(tn_div(handle, target.handle, out var result), result);

        /// <summary>Quotient, broadcast.</summary>
        public Tensor div(Scalar target) => Native.Own(tn_div_scalar(handle, target, out var result), result);

        /// <summary>Power, broadcast.</summary>
        public Tensor pow(Tensor exponent) => Native.Own(tn_pow(handle, exponent.handle, out var result), result);

        /// <summary>Power, broadcast.</summary>
        public Tensor pow(Scalar exponent) => Native.Own(tn_pow_scalar(handle, exponent, out var result), result);

        /// <summary>Remainder with the divisor's sign.</summary>
        public Tensor remainder(Tensor target) => Native.Own(tn_remainder(handle, target.handle, out var result), result);

        /// <summary>Remainder with the divisor's sign.</summary>
        public Tensor remainder(Scalar target) => Native.Own(tn_remainder_scalar(handle, target, out var result), result);

        /// <summary>True where equal.</summary>
        public Tensor eq(Tensor target) => Native.Own(tn_eq(handle, target.handle, out var result), result);

        /// <summary>True where equal.</summary>
        public Tensor eq(Scalar target) => Native.Own(tn_eq_scalar(handle, target, out var result), result);

        /// <summary>True where different.</summary>
        public Tensor ne(Tensor target) => Native.Own(tn_ne(handle, target.handle, out var result), result);

        /// <summary>True where different.</summary>
        public Tensor ne(Scalar target) => Native.Own(tn_ne_scalar(handle, target, out var result), result);

        /// <summary>True where less.</summary>
        public Tensor lt(Tensor target) => Native.Own(tn_lt(handle, target.handle, out var result), result);

        /// <summary>True where less.</summary>
        public Tensor lt(Scalar target) => Native.Own(tn_lt_scalar(handle, target, out var result), result);

        /// <summary>True where less or equal.</summary>
        public Tensor le(Tensor target) => Native.Own(tn_le(handle, target.handle, out var result), result);

        /// <summary>True where less or equal.</summary>
        public Tensor le(Scalar target) => Native.Own(tn_le_scalar(handle, target, out var result), result);

        /// <summary>True where greater.</summary>
        public Tensor gt(Tensor target) => Native.Own(tn_gt(handle, target.handle, out var result), result);

        /// <summary>True where greater.</summary>
        public Tensor gt(Scalar target) => Native.Own(tn_gt_scalar(handle, target, out var result), result);

        /// <summary>True where greater or equal.</summary>
        public Tensor ge(Tensor target) => Native.Own(tn_ge(handle, target.handle, out var result), result);

        /// <summary>True where greater or equal.</summary>
        public Tensor ge(Scalar target) => Native.Own(tn_ge_scalar(handle, target, out var result), result);

        /// <summary>Sum, broadcast.</summary>
        public Tensor add(Tensor target) => Native.Own(tn_add(handle, target.handle, 1, out var result), result);

        /// <summary>Sum, broadcast, the second operand times alpha.</summary>
        public Tensor add(Tensor target, Scalar alpha) => Native.Own(tn_add(handle, target.handle, alpha, out var result), result);

        /// <summary>Sum, broadcast.</summary>
        public Tensor add(Scalar scalar) => Native.Own(tn_add_scalar(handle, scalar, out var result), result);

        /// <summary>Difference, broadcast.</summary>
        public Tensor sub(Tensor target) => Native.Own(tn_sub(handle, target.handle, 1, out var result), result);

        /// <summary>Difference, broadcast, the second operand times alpha.</summary>
        public Tensor sub(Tensor target, Scalar alpha) => Native.Own(tn_sub(handle, target.handle, alpha, out var result), result);

        /// <summary>Difference, broadcast.</summary>
        public Tensor sub(Scalar scalar) => Native.Own(tn_sub_scalar(handle, scalar, out var result), result);

        /// <summary>The greater of each pair.</summary>
        public Tensor maximum(Tensor other) => Native.Own(tn_maximum(handle, other.handle, out var result), result);

        /// <summary>The smaller of each pair.</summary>
        public Tensor minimum(Tensor other) => Native.Own(tn_minimum(handle, other.handle, out var result), result);

        /// <summary>True where both are.</summary>
        public Tensor logical_and(Tensor other) => Native.Own(tn_logical_and(handle, other.handle, out var result), result);

        /// <summary>True where either is.</summary>
        public Tensor logical_or(Tensor other) => Native.Own(tn_logical_or(handle, other.handle, out var result), result);

        /// <summary>Chosen from this tensor where the condition holds, else from the other.</summary>
        public Tensor where(Tensor condition, Tensor y) => Native.Own(tn_where(condition.handle, handle, y.handle, out var result), result);

        /// <summary>A copy with one value where the mask is true.</summary>
        public Tensor masked_fill(Tensor mask, Scalar value) => Native.Own(tn_masked_fill(handle, mask.handle, value, out var result), result);

        /// <summary>Limited to a range; either end may be open.</summary>
        public unsafe Tensor clamp(Scalar? min = null, Scalar? max = null)
        {
            var low = min.GetValueOrDefault();
            var high = max.GetValueOrDefault();
            return Native.Own(tn_clamp(handle, min is null ? null : &low, max is null ? null : &high, out var result), result);
        }

        /// <summary>Element by element, broadcast.</summary>
        public static Tensor operator +(Tensor left, Tensor right) => left.add(right);

        /// <summary>Element by element.</summary>
        public static Tensor operator +(Tensor left, Scalar right) => left.add(right);

        /// <summary>Element by element, broadcast.</summary>
        public static Tensor operator -(Tensor left, Tensor right) => left.sub(right);

        /// <summary>Element by element.</summary>
        public static Tensor operator -(Tensor left, Scalar right) => left.sub(right);

        /// <summary>Element by element, broadcast.</summary>
        public static Tensor operator *(Tensor left, Tensor right) => left.mul(right);

        /// <summary>Element by element.</summary>
        public static Tensor operator *(Tensor left, Scalar right) => left.mul(right);

        /// <summary>Element by element, broadcast.</summary>
        public static Tensor operator /(Tensor left, Tensor right) => left.div(right);

        /// <summary>Element by element.</summary>
        public static Tensor operator /(Tensor left, Scalar right) => left.div(right);

        /// <summary>Element by element.</summary>
        public static Tensor operator +(Scalar left, Tensor right) => right.add(left);

        /// <summary>Element by element.</summary>
        public static Tensor operator *(Scalar left, Tensor right) => right.mul(left);

        /// <summary>Element by element.</summary>
        public static Tensor operator -(Scalar left, Tensor right)
        {
            using var negative = right.neg();
            return negative.add(left);
        }

        /// <summary>Element by element.</summary>
        public static Tensor operator /(Scalar left, Tensor right)
        {
            using var inverse = right.reciprocal();
            return inverse.mul(left);
        }

        /// <summary>Negated.</summary>
        public static Tensor operator -(Tensor tensor) => tensor.neg();
    }
}
