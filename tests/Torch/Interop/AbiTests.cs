using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using Trainer.Torch.Interop;
using static TorchSharp.torch;

namespace Trainer.Torch.Tests.Interop;

/// <summary>The C# declarations and the compiled C++ functions are the same set with the same signatures: nothing else checks that.</summary>
public sealed class AbiTests
{
    private static readonly Dictionary<string, MethodInfo> Imports = typeof(NativeMethods)
        .GetMethods(BindingFlags.Static | BindingFlags.NonPublic)
        .Where(method => method.Name.StartsWith("tn_", StringComparison.Ordinal))
        .ToDictionary(method => method.Name);

    [Fact]
    public void Imports_and_exports_are_the_same_names()
    {
        var exports = ElfExports.Of(Path.Combine(AppContext.BaseDirectory, "libtrainer_native.so"));
        exports.RemoveWhere(name => !name.StartsWith("tn_", StringComparison.Ordinal));
        Assert.Equal(exports.Order(StringComparer.Ordinal), Imports.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Only_the_shim_s_own_functions_are_exported()
    {
        var foreign = ElfExports.Of(Path.Combine(AppContext.BaseDirectory, "libtrainer_native.so"))
            .Where(name => !name.StartsWith("tn_", StringComparison.Ordinal) && !name.StartsWith('_'));
        Assert.Empty(foreign);
    }

    [Fact]
    public void Signatures_agree_with_the_sources()
    {
        var declared = ShimSource.Functions();
        Assert.Equal(declared.Keys.Order(StringComparer.Ordinal), Imports.Keys.Order(StringComparer.Ordinal));
        Assert.Empty(declared.SelectMany(entry => Differences(entry.Key, entry.Value)));
    }

    [Fact]
    public void A_scalar_is_laid_out_as_in_the_header()
    {
        Assert.Equal(24, Unsafe.SizeOf<Scalar>());
        Assert.Equal(0, (int)Marshal.OffsetOf<Scalar>("integer"));
        Assert.Equal(8, (int)Marshal.OffsetOf<Scalar>("real"));
        Assert.Equal(16, (int)Marshal.OffsetOf<Scalar>("kind"));
    }

    [Fact]
    public void What_is_dropped_is_laid_out_as_in_the_header()
    {
        Assert.Equal(32, Unsafe.SizeOf<KeyedDropout>());
        string[] fields = ["Probability", "Seed", "First", "Place"];
        Assert.Equal([0, 8, 16, 24], fields.Select(field => (int)Marshal.OffsetOf<KeyedDropout>($"<{field}>k__BackingField")));
    }

    // The bits of the number one tell every element type from every other.
    [Theory]
    [InlineData(ScalarType.Byte, "01")]
    [InlineData(ScalarType.Int8, "01")]
    [InlineData(ScalarType.Int16, "0100")]
    [InlineData(ScalarType.Int32, "01000000")]
    [InlineData(ScalarType.Int64, "0100000000000000")]
    [InlineData(ScalarType.Float16, "003C")]
    [InlineData(ScalarType.Float32, "0000803F")]
    [InlineData(ScalarType.Float64, "000000000000F03F")]
    [InlineData(ScalarType.Bool, "01")]
    [InlineData(ScalarType.BFloat16, "803F")]
    public void Element_types_are_libtorch_s(ScalarType type, string one)
    {
        using var tensor = ones([1], type);
        Assert.Equal(type, tensor.dtype);
        Assert.Equal(one, Convert.ToHexString(tensor.bytes));
    }

    [Fact]
    public void Signed_and_unsigned_bytes_differ()
    {
        using var minus = tensor(-1L);
        using var signed = minus.to(ScalarType.Int8);
        using var unsigned = minus.to(ScalarType.Byte);
        Assert.Equal(-1, signed.ToInt64());
        Assert.Equal(255, unsigned.ToInt64());
    }

    private static IEnumerable<string> Differences(string name, ShimSource.Function function)
    {
        var import = Imports[name];
        var parameters = import.GetParameters();
        if (import.ReturnType != Results[function.Result])
            yield return $"{name} returns {function.Result} there, {import.ReturnType.Name} here";
        if (parameters.Length != function.Parameters.Count)
        {
            yield return $"{name} takes {function.Parameters.Count} parameters there, {parameters.Length} here";
            yield break;
        }

        for (var i = 0; i < parameters.Length; i++)
            if (!Mapping[function.Parameters[i]].Contains(parameters[i].ParameterType))
                yield return $"{name}: parameter {i} is {function.Parameters[i]} there, {parameters[i].ParameterType.Name} here";
    }

    private static readonly Dictionary<string, Type> Results = new()
    {
        ["void"] = typeof(void), ["int32_t"] = typeof(int), ["int64_t"] = typeof(long), ["const char*"] = typeof(nint),
    };

    private static readonly Dictionary<string, Type[]> Mapping = new()
    {
        ["int32_t"] = [typeof(int)],
        ["int64_t"] = [typeof(long)],
        ["double"] = [typeof(double)],
        ["const char*"] = [typeof(string)],
        ["const char**"] = [typeof(nint).MakeByRefType()],
        ["void*"] = [typeof(nint), typeof(TokenProgramHandle)],
        ["void**"] = [typeof(nint).MakeByRefType()],
        ["const Tensor*"] = [typeof(TensorHandle)],
        ["Tensor*"] = [typeof(TensorHandle), typeof(nint)],
        ["Tensor**"] = [typeof(nint).MakeByRefType(), typeof(nint).MakePointerType()],
        ["Tensor* const*"] = [typeof(nint).MakePointerType()],
        ["const at::Generator*"] = [typeof(GeneratorHandle)],
        ["at::Generator*"] = [typeof(GeneratorHandle), typeof(nint)],
        ["at::Generator**"] = [typeof(nint).MakeByRefType()],
        ["tn::Scalar"] = [typeof(Scalar)],
        ["tn::Scalar*"] = [typeof(Scalar).MakeByRefType()],
        ["const tn::KeyedDropout*"] = [typeof(KeyedDropout).MakePointerType()],
        ["const tn::Scalar*"] = [typeof(Scalar).MakePointerType()],
        ["int32_t*"] = [typeof(int).MakeByRefType()],
        ["int64_t*"] = [typeof(long).MakeByRefType(), typeof(long).MakePointerType()],
        ["const int64_t*"] = [typeof(long).MakePointerType()],
        ["const int32_t*"] = [typeof(int).MakePointerType()],
    };
}
