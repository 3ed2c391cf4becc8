using System.Runtime.InteropServices;

namespace TorchSharp;

/// <summary>A number that is not a tensor: an integer, a real number or a truth value.</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly struct Scalar
{
    private readonly long integer;
    private readonly double real;
    private readonly int kind;

    private Scalar(long integer, double real, int kind) => (this.integer, this.real, this.kind) = (integer, real, kind);

    internal bool IsReal => kind == 1;

    internal bool IsBool => kind == 2;

    /// <summary>The value as a real number.</summary>
    public double ToDouble() => IsReal ? real : integer;

    /// <summary>The value as a single.</summary>
    public float ToSingle() => (float)ToDouble();

    /// <summary>The value as an integer, a real number's fraction dropped.</summary>
    public long ToInt64() => IsReal ? (long)real : integer;

    /// <summary>The value as a 32-bit integer.</summary>
    /// <exception cref="OverflowException">It does not fit.</exception>
    public int ToInt32() => checked((int)ToInt64());

    /// <summary>Whether the value is not zero.</summary>
    public bool ToBoolean() => IsReal ? real != 0 : integer != 0;

    /// <inheritdoc/>
    public override string ToString() => IsReal ? real.ToString("R") : IsBool ? ToBoolean().ToString() : integer.ToString();

    /// <summary>An integer.</summary>
    public static implicit operator Scalar(int value) => new(value, 0, 0);
    /// <summary>An integer.</summary>
    public static implicit operator Scalar(long value) => new(value, 0, 0);
    /// <summary>A real number.</summary>
    public static implicit operator Scalar(float value) => new(0, value, 1);
    /// <summary>A real number.</summary>
    public static implicit operator Scalar(double value) => new(0, value, 1);
    /// <summary>A truth value.</summary>
    public static implicit operator Scalar(bool value) => new(value ? 1 : 0, 0, 2);
}
