using static TorchSharp.torch;

namespace Trainer.Torch.Tests.TorchSharp;

public sealed class ModesTests
{
    [Fact]
    public void No_grad_nests_and_restores()
    {
        using var scope = NewDisposeScope();
        var x = ones([1], requires_grad: true);
        Assert.True(is_grad_enabled());
        using (no_grad())
        {
            Assert.False((x * 2).requires_grad);
            using (enable_grad())
            {
                Assert.True((x * 2).requires_grad);
                using (no_grad()) Assert.False(is_grad_enabled());
                using (enable_grad(false)) Assert.False(is_grad_enabled());
                Assert.True(is_grad_enabled());
            }

            Assert.False(is_grad_enabled());
        }

        Assert.True((x * 2).requires_grad);
    }

    [Fact]
    public void Modes_end_with_their_block_even_when_it_throws()
    {
        Assert.Throws<InvalidOperationException>((Action)(() =>
        {
            using var outer = no_grad();
            using var inner = inference_mode();
            throw new InvalidOperationException();
        }));
        Assert.True(is_grad_enabled());
        Assert.False(is_inference_mode_enabled());
    }

    [Fact]
    public void Inference_mode_nests_restores_and_its_tensors_stay_out_of_graphs()
    {
        using var scope = NewDisposeScope();
        var x = ones([1], requires_grad: true);
        global::TorchSharp.torch.Tensor made;
        using (inference_mode())
        {
            Assert.True(is_inference_mode_enabled());
            made = x * 2;
            using (inference_mode(false))
            {
                Assert.False(is_inference_mode_enabled());
                Assert.True((x * 2).requires_grad);
            }

            Assert.True(is_inference_mode_enabled());
        }

        Assert.False(is_inference_mode_enabled());
        Assert.True(is_grad_enabled());
        Assert.Contains("Inference tensors cannot be saved for backward", Assert.Throws<TorchException>(() => x * made).Message);
    }

    [Fact]
    public void A_mode_holds_on_its_own_thread_only()
    {
        using var _ = no_grad();
        var elsewhere = false;
        var thread = new Thread(() => elsewhere = is_grad_enabled());
        thread.Start();
        thread.Join();
        Assert.True(elsewhere);
    }

    [Fact]
    public void The_number_of_threads_is_what_was_set()
    {
        var before = get_num_threads();
        try
        {
            set_num_threads(1);
            Assert.Equal(1, get_num_threads());
            set_num_threads(2);
            Assert.Equal(2, get_num_threads());
            Assert.Contains("positive number of threads", Assert.Throws<TorchException>(() => set_num_threads(0)).Message);
        }
        finally
        {
            set_num_threads(before);
        }
    }

    [Fact]
    public void Deterministic_mode_goes_on_and_off_again()
    {
        using var scope = NewDisposeScope();
        var x = zeros(4);
        Assert.False(Determinism.Enabled);
        try
        {
            Determinism.Enabled = true;
            Assert.True(Determinism.Enabled);
        }
        finally
        {
            Determinism.Enabled = false;
        }

        Assert.False(Determinism.Enabled);
        TensorAssert.Equal([0, 0, 0, 0], x);
    }

    [Fact]
    public void The_library_says_what_it_is()
    {
        Assert.Matches(@"^\d+\.\d+\.\d+", LibTorch.Version);
        Assert.Contains("threads", LibTorch.Configuration, StringComparison.OrdinalIgnoreCase);
        Assert.NotEmpty(LibTorch.CpuCapability);
    }

    [Fact]
    public void A_precision_that_does_not_exist_is_refused()
    {
        LibTorch.SetFloat32MatmulPrecision("highest");
        Assert.Contains("'best' is no precision; highest, high and medium are.",
            Assert.Throws<ArgumentException>(() => LibTorch.SetFloat32MatmulPrecision("best")).Message);
    }
}
