namespace TorchSharp;

public static partial class torch
{
    /// <summary>The type of a tensor's elements; the values are libtorch's own.</summary>
    public enum ScalarType : sbyte
    {
        /// <summary>Unsigned 8-bit integer.</summary>
        Byte = 0,
        /// <summary>Signed 8-bit integer.</summary>
        Int8 = 1,
        /// <summary>16-bit integer.</summary>
        Int16 = 2,
        /// <summary>32-bit integer.</summary>
        Int32 = 3,
        /// <summary>64-bit integer, the type of token ids and indices.</summary>
        Int64 = 4,
        /// <summary>IEEE half precision.</summary>
        Float16 = 5,
        /// <summary>IEEE single precision, the type of weights.</summary>
        Float32 = 6,
        /// <summary>IEEE double precision.</summary>
        Float64 = 7,
        /// <summary>Truth values, a byte each.</summary>
        Bool = 11,
        /// <summary>The upper half of a float32.</summary>
        BFloat16 = 15,
    }

    /// <summary><see cref="ScalarType.Byte"/></summary>
    public static readonly ScalarType uint8 = ScalarType.Byte;
    /// <summary><see cref="ScalarType.Int8"/></summary>
    public static readonly ScalarType int8 = ScalarType.Int8;
    /// <summary><see cref="ScalarType.Int16"/></summary>
    public static readonly ScalarType int16 = ScalarType.Int16;
    /// <summary><see cref="ScalarType.Int32"/></summary>
    public static readonly ScalarType int32 = ScalarType.Int32;
    /// <summary><see cref="ScalarType.Int64"/></summary>
    public static readonly ScalarType int64 = ScalarType.Int64;
    /// <summary><see cref="ScalarType.Int64"/></summary>
    public static readonly ScalarType @long = ScalarType.Int64;
    /// <summary><see cref="ScalarType.Float16"/></summary>
    public static readonly ScalarType float16 = ScalarType.Float16;
    /// <summary><see cref="ScalarType.Float32"/></summary>
    public static readonly ScalarType float32 = ScalarType.Float32;
    /// <summary><see cref="ScalarType.Float64"/></summary>
    public static readonly ScalarType float64 = ScalarType.Float64;
    /// <summary><see cref="ScalarType.BFloat16"/></summary>
    public static readonly ScalarType bfloat16 = ScalarType.BFloat16;
    /// <summary><see cref="ScalarType.Bool"/></summary>
    public static readonly ScalarType @bool = ScalarType.Bool;

    /// <summary>Whether the elements are real numbers.</summary>
    public static bool is_floating_point(ScalarType type) =>
        type is ScalarType.Float16 or ScalarType.Float32 or ScalarType.Float64 or ScalarType.BFloat16;
}
