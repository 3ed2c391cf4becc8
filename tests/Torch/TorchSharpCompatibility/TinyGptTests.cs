using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Torch.Tests.TorchSharpCompatibility;

public sealed class TinyGptTests
{
    public TinyGptTests() => Finalizers.Run();

    [Fact]
    public void Model_code_written_for_TorchSharp_trains_here()
    {
        using var outer = NewDisposeScope();
        random_seed(1337);
        using var model = new TinyGpt(vocab_size: 11, block_size: 8, n_layer: 2, n_head: 2, n_embd: 16, dropout: 0.1).to(DeviceType.CPU);
        var sequence = arange(9).remainder(4) + 3;
        var (input, target) = (sequence[..^1].unsqueeze(0), sequence[1..].unsqueeze(0));

        model.train();
        var first = model.loss(input, target).ToSingle();
        for (var step = 0; step < 150; step++)
        {
            using var scope = NewDisposeScope();
            model.zero_grad();
            model.loss(input, target).backward();
            nn.utils.clip_grad_norm_(model.parameters(), max_norm: 1.0);
            using (no_grad())
                foreach (var parameter in model.parameters())
                    parameter.sub_(parameter.grad!, alpha: 0.2);
        }

        model.eval();
        using var evaluation = no_grad();
        Assert.Equal(Math.Log(11), first, 0.2);
        Assert.InRange(model.loss(input, target).ToSingle(), 0, 0.2);
        Assert.True(model.call(input).argmax(-1).Equals(target));
    }

    [Fact]
    public void Names_are_those_of_the_fields_and_tied_weights_count_once()
    {
        using var model = new TinyGpt(11, 8, 1, 2, 16);
        Assert.Equal(["wte.weight", "wpe.weight", "h.0.ln_1.weight", "h.0.ln_1.bias", "h.0.attn.c_attn.weight", "h.0.attn.c_proj.weight",
            "h.0.ln_2.weight", "h.0.mlp.0.weight", "h.0.mlp.0.bias", "h.0.mlp.1.weight", "h.0.mlp.1.bias", "ln_f.weight", "ln_f.bias"],
            model.named_parameters().Select(entry => entry.name));
        Assert.Equal(["positions"], model.named_buffers().Select(entry => entry.name));
        Assert.DoesNotContain("positions", model.state_dict().Keys);
    }

    [Fact]
    public void A_state_goes_from_one_model_to_another()
    {
        using var scope = NewDisposeScope();
        using TinyGpt one = new(11, 8, 1, 2, 16), other = new(11, 8, 1, 2, 16);
        one.eval();
        other.eval();
        var input = arange(8).unsqueeze(0);
        Assert.False(one.call(input).allclose(other.call(input)));
        var (missing, unexpected) = other.load_state_dict(one.state_dict());
        Assert.Empty(missing);
        Assert.Empty(unexpected);
        TensorAssert.SameBits(one.call(input), other.call(input));

        var partial = one.state_dict();
        partial.Remove("wte.weight");
        partial["surplus"] = zeros(1);
        Assert.Equal("missing: wte.weight; unexpected: surplus (Parameter 'source')", Assert.Throws<ArgumentException>(() => other.load_state_dict(partial)).Message);
        (missing, unexpected) = other.load_state_dict(partial, strict: false);
        Assert.Equal(["wte.weight"], missing);
        Assert.Equal(["surplus"], unexpected);
        partial["ln_f.weight"] = zeros(3);
        Assert.Contains("ln_f.weight is [3], the model has [16].", Assert.Throws<ArgumentException>(() => other.load_state_dict(partial, strict: false)).Message);
    }

    [Fact]
    public void A_converted_model_computes_in_its_new_type_and_keeps_its_parameters()
    {
        using var scope = NewDisposeScope();
        using var model = new TinyGpt(11, 8, 1, 2, 16);
        var weight = model.parameters().First();
        model.to(ScalarType.BFloat16);
        Assert.Same(weight, model.parameters().First());
        Assert.All(model.parameters(), parameter => Assert.Equal(ScalarType.BFloat16, parameter.dtype));
        Assert.Equal(ScalarType.Int64, model.named_buffers().Single().buffer.dtype);
        var loss = model.loss(arange(8).unsqueeze(0), arange(8).unsqueeze(0));
        loss.backward();
        Assert.Equal(ScalarType.BFloat16, weight.grad!.dtype);
    }

    [Fact]
    public void A_disposed_model_has_given_everything_back()
    {
        var before = TensorCount.Live;
        new TinyGpt(11, 8, 2, 2, 16, 0.1).Dispose();
        Assert.Equal(before, TensorCount.Live);
    }

    [Theory]
    [InlineData("relu")]
    [InlineData("gelu")]
    [InlineData("silu")]
    [InlineData("dropout")]
    public void In_place_activations_change_their_input(string name)
    {
        using var scope = NewDisposeScope();
        Func<Tensor, bool, Tensor> function = name switch
        {
            "relu" => nn.functional.relu,
            "gelu" => nn.functional.gelu,
            "silu" => nn.functional.silu,
            _ => (x, inplace) => nn.functional.dropout(x, 1, true, inplace),
        };
        Tensor x = tensor([-1f, 2f]), expected = function(x, false);
        Assert.False(expected.Equals(x));
        var result = function(x, true);
        Assert.True(result.SharesStorageWith(x));
        TensorAssert.SameBits(expected, x);
    }

    private static void random_seed(long seed)
    {
        using var generator = manual_seed(seed);
        Assert.Equal(seed, generator.initial_seed());
    }
}
