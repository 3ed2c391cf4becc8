using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class AtenTests
{
    private const int Large = 1 << 23; // 32 MiB of float32, far more than what the runtime itself takes and gives back

    // One call for each kind of argument and each end that a call can have. Handles are made in the order of arguments.
    private static readonly Dictionary<string, Action<Tensor>> Calls = new()
    {
        ["tensor, success"] = x => Functional.RmsNorm(x, [Large]),
        ["tensor, refusal"] = x => Assert.Throws<TorchException>(() => Functional.RmsNorm(x, [3])),
        ["tensor, disposed neighbour"] = x => FailsBefore(() => Functional.RmsNorm(x, [Large], Disposed())),
        ["optional, success"] = x => Functional.RmsNorm(ones(1).expand(Large), [Large], x),
        ["optional, refusal"] = x => Assert.Throws<TorchException>(() => Functional.RmsNorm(ones(2, 3), [3], x)),
        ["optional, disposed neighbour"] = x => FailsBefore(() => Aten._fused_sgd_(
            [ones(2)], [ones(2)], [], 0, 0, 0.1, 0, false, false, is_first_step: true, grad_scale: x, found_inf: Disposed())),
        ["list, success"] = x => Aten._foreach_mul_([ones(2), x], ones([])),
        ["list, refusal"] = x => Assert.Throws<TorchException>(() => Aten._foreach_mul_([ones(2), x], ones(2))),
        ["list, disposed neighbour in it"] = x => FailsBefore(() => Aten._foreach_mul_([ones(2), x, Disposed()], ones([]))),
        ["list, disposed neighbour after it"] = x => FailsBefore(() => Aten._foreach_mul_([ones(2), x], Disposed())),
        // 32 MiB as well; a refusal would print them.
        ["numbers, disposed neighbour"] = _ => FailsBefore(() => Functional.RmsNorm(ones(2), new long[Large / 2], Disposed())),
    };

    public static TheoryData<string> CallNames => [.. Calls.Keys];

    [Fact]
    public void Root_mean_square_norm_is_the_formula_and_has_gradients()
    {
        using var scope = NewDisposeScope();
        Tensor x = randn([2, 3, 8], requires_grad: true), weight = randn([8], requires_grad: true);
        Tensor expected = x.mul(x.square().mean([-1], keepdim: true).add(1e-3).rsqrt()).mul(weight);
        Tensor actual = Functional.RmsNorm(x, [8], weight, 1e-3);
        TensorAssert.Close(expected, actual, 1e-6);
        Tensor gradient = randn(2, 3, 8);
        IList<Tensor> want = autograd.grad([expected], [x, weight], [gradient], retain_graph: true),
            have = autograd.grad([actual], [x, weight], [gradient]);
        TensorAssert.Close(want, have, 1e-5);
        TensorAssert.Close(x.mul(x.square().mean([1, 2], keepdim: true).add(1e-5).rsqrt()), Functional.RmsNorm(x, [3, 8]), 1e-6);
    }

    [Fact]
    public void An_embedding_is_rows_and_the_padding_gets_no_gradient()
    {
        using var scope = NewDisposeScope();
        Tensor weight = randn([5, 3], requires_grad: true), indices = tensor(new long[] { 1, 4, 1, 2 }, [2, 2]);
        Tensor rows = Functional.Embedding(indices, weight, 4);
        Assert.Equal([2, 2, 3], rows.shape);
        TensorAssert.SameBits(weight.index_select(0, indices.flatten()).view(2, 2, 3).detach(), rows.detach());
        rows.sum().backward();
        TensorAssert.Equal([0, 2, 1, 0, 0], weight.grad!.select(1, 0));
    }

    [Fact]
    public void Gelu_by_tanh_is_the_formula()
    {
        using var scope = NewDisposeScope();
        Tensor x = linspace(-4, 4, 33);
        TensorAssert.Close(x.mul(0.5).mul(x.add(x.pow(3).mul(0.044715)).mul(Math.Sqrt(2 / Math.PI)).tanh().add(1)), Functional.GeluTanh(x),
            1e-6);
    }

    [Fact]
    public void A_view_of_another_type_is_the_same_memory()
    {
        using var scope = NewDisposeScope();
        Tensor x = tensor(new[] { 1f, -2f }), halves = Aten.view(x, ScalarType.BFloat16);
        TensorAssert.Equal([0, 1, 0, -2], halves);
        halves.zero_();
        TensorAssert.Equal([0, 0], x);
        Assert.Contains("view", Assert.ThrowsAny<Exception>(() => Aten.view(ones(3).to(ScalarType.BFloat16), ScalarType.Float32)).Message);
    }

    [Fact]
    public void Lists_are_changed_in_place()
    {
        using var scope = NewDisposeScope();
        Tensor[] many = [ones(2), ones(3)];
        Aten._foreach_mul_(many, tensor(3f));
        Aten._foreach_lerp_(many, [zeros(2), zeros(3)], [full([2], 0.5f), full([3], 0.5f)]);
        TensorAssert.Equal([1.5, 1.5], many[0]);
        Aten._foreach_copy_(many, [zeros(2), ones(3)]);
        TensorAssert.Equal([0, 0], many[0]);
        TensorAssert.Equal([1, 1, 1], many[1]);
    }

    [Fact]
    public void The_version_counts_what_is_written()
    {
        using var scope = NewDisposeScope();
        Tensor x = ones(2);
        long before = Aten._version(x);
        x.add_(1);
        Assert.Equal(before + 1, Aten._version(x));
    }

    [Fact]
    public void A_fused_update_counts_as_a_write()
    {
        using var scope = NewDisposeScope();
        Tensor weight = ones(2);
        long before = Aten._version(weight);
        FusedAdamW.Step([weight], [ones(2)], [zeros(2)], [zeros(2)], [zeros([])], 0.1, 0.9, 0.99, 0, 1e-8);
        Assert.True(Aten._version(weight) > before);
    }

    [Fact]
    public void What_libtorch_refuses_is_an_exception_with_its_own_words()
    {
        using var scope = NewDisposeScope();
        var error = Assert.Throws<TorchException>(() => Functional.RmsNorm(ones(2, 3), [4]));
        Assert.StartsWith("Given normalized_shape=[4], expected input with shape [*, 4], but got input of size[2, 3]", error.Message);
        Assert.Contains("(in aten::rms_norm(Float32 [2, 3] on cpu, [4], None, 1E-05))", error.Message);
        Assert.False(error.IsOutOfMemory);
    }

    [Fact]
    public void Memory_that_is_not_there_is_told_from_other_errors()
    {
        using var scope = NewDisposeScope();
        Tensor huge = zeros([1], ScalarType.Int64).expand(1L << 46);
        var error = Assert.Throws<TorchException>(() => Functional.Embedding(huge, ones(2, 4)));
        Assert.True(error.IsOutOfMemory, error.Message);
    }

    [Fact]
    public void Nothing_is_left_behind_by_calls_or_failures()
    {
        Tensor x = ones(Large), weight = ones(2, 3);
        Use();
        Finalizers.Run();
        long handles = LiveTensors.Count(), memory = CpuMemory.Current().Allocated;
        for (int i = 0; i < 20; i++) Use();
        Assert.Equal(handles, LiveTensors.Count());
        Assert.InRange(CpuMemory.Current().Allocated - memory, -(16 << 20), 16 << 20);
        x.Dispose();
        Assert.InRange(CpuMemory.Current().Allocated - memory, -(48 << 20), -(16 << 20)); // nobody else holds it

        void Use()
        {
            using var scope = NewDisposeScope();
            Functional.RmsNorm(x, [Large]);
            Assert.Throws<TorchException>(() => Functional.RmsNorm(x, [3], weight));
            Assert.Throws<TorchException>(() => Aten._foreach_mul_([x, weight], ones(2)));
            ScaledDotProductAttention.Attend(
                ones(1, 1, 4, 8), ones(1, 1, 4, 8), ones(1, 1, 4, 8), scale: 0.1, backend: AttentionBackend.Math);
        }
    }

    [Theory]
    [MemberData(nameof(CallNames))]
    public void An_argument_is_freed_however_the_call_ends(string name)
    {
        Use();
        Finalizers.Run();
        long memory = CpuMemory.Current().Allocated;
        Use();
        Assert.InRange(CpuMemory.Current().Allocated - memory, -(16 << 20), 16 << 20);

        void Use()
        {
            using var scope = NewDisposeScope();
            Calls[name](ones(Large));
        }
    }

    private static Tensor Disposed()
    {
        Tensor tensor = ones(2);
        tensor.Dispose();
        return tensor;
    }

    // TorchSharp refuses the handle of a disposed tensor; libtorch is not called.
    private static void FailsBefore(Action call) => Assert.ThrowsAny<InvalidOperationException>(call);

    [Fact]
    public void Deterministic_mode_is_what_was_set()
    {
        bool before = Determinism.Enabled;
        Determinism.Enabled = true;
        Assert.True(Determinism.Enabled);
        Determinism.Enabled = false;
        Assert.False(Determinism.Enabled);
        Determinism.Enabled = before;
    }

    [Fact]
    public void Precision_of_products_is_what_was_set()
    {
        LibTorch.SetFloat32MatmulPrecision("high");
        Assert.True(backends.cuda.matmul.allow_tf32 && backends.cudnn.allow_tf32);
        LibTorch.SetFloat32MatmulPrecision("highest");
        Assert.False(backends.cuda.matmul.allow_tf32 || backends.cudnn.allow_tf32);
        Assert.Throws<ArgumentException>(() => LibTorch.SetFloat32MatmulPrecision("low"));
    }

    [Fact]
    public void The_library_tells_what_it_is()
    {
        Assert.StartsWith("2.", LibTorch.Version);
        Assert.Contains(LibTorch.CpuCapability, (string[])["AVX512", "AVX2", "DEFAULT", "NO AVX", "NEON", "SVE256"]);
        Assert.False(LibTorch.HasCuda && !cuda.is_available());
    }

    // The way a GPU's generator is borrowed, tried on the CPU's.
    [Fact]
    public unsafe void A_borrowed_generator_is_the_device_s_own_and_survives_its_borrower()
    {
        if (TorchLibrary.OptionalExport("_ZN2at6detail22getDefaultCPUGeneratorEv") is not (not 0 and var export)) return;
        using var scope = NewDisposeScope();
        nint generator = ((delegate* unmanaged[Cdecl]<nint>)export)();
        Tensor state, first;
        using (DefaultGenerators.Borrowed borrowed = new(generator, CPU))
        {
            state = borrowed.get_state();
            first = randn(5);
        }
        using (DefaultGenerators.Borrowed borrowed = new(generator, CPU)) borrowed.set_state(state);
        TensorAssert.SameBits(first, randn(5));
        using (Generator other = DefaultGenerators.Of(CPU)) other.set_state(state);
        TensorAssert.SameBits(first, randn(5));
    }
}
