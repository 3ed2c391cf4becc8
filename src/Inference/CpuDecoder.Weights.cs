using Trainer.Inference.Paging;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.FeedForward;
using Trainer.Models.Positions;
using static TorchSharp.torch;

namespace Trainer.Inference;

// How a model's options and named weights become what the loop reads.
internal sealed unsafe partial class CpuDecoder
{
    private LayerShape Shape(LayerOptions layer)
    {
        var attention = (HeadProjectionOptions)layer.Attention;
        // A window as long as the context forgets nothing.
        KeyWindow? window = attention.ResolvedPattern.KeyWindow is { } seen && seen.Window < capacity ? seen : null;
        return new(attention.Groups, attention.HeadWidth(options.Dim), window);
    }

    private CpuLayer Read(string block, LayerOptions layer, PagedLayer remembered)
    {
        var attention = (HeadProjectionOptions)layer.Attention;
        ActivationKind activation = ((DenseOptions)layer.FeedForward).Kind;
        NormPlacement placement = options.Norm.Placement;
        int width = attention.HeadWidth(options.Dim);
        return new()
        {
            AttentionNorm = NormOf($"{block}.mixerNorm", placement != NormPlacement.Post),
            AttentionOutputNorm = NormOf($"{block}.mixerOutputNorm", placement == NormPlacement.Sandwich),
            AttentionStreamNorm = NormOf($"{block}.mixerNorm", placement == NormPlacement.Post),
            FeedForwardNorm = NormOf($"{block}.feedForwardNorm", placement != NormPlacement.Post),
            FeedForwardOutputNorm = NormOf($"{block}.feedForwardOutputNorm", placement == NormPlacement.Sandwich),
            FeedForwardStreamNorm = NormOf($"{block}.feedForwardNorm", placement == NormPlacement.Post),
            QueryNorm = NormOf($"{block}.mixer.projection.queryNorm", attention.QueryKeyNorm),
            KeyNorm = NormOf($"{block}.mixer.projection.keyNorm", attention.QueryKeyNorm),
            QueryKeyValue = Linear($"{block}.mixer.projection.qkv"),
            Output = Linear($"{block}.mixer.output"),
            Up = Linear($"{block}.feedForward.{(Activation.Of(activation).Gated ? "gateUp" : "up")}"),
            Down = Linear($"{block}.feedForward.down"),
            Activation = activation,
            RoundsHidden = model.ComputeType == ScalarType.BFloat16 && Activation.Of(activation).Fused is not null,
            Heads = attention.Heads,
            Groups = attention.Groups,
            HeadDim = width,
            Scale = attention.ScoreScale(options.Dim) * layer.Position.ScoreFactor(options),
            SoftCap = (float)(attention.SoftCap ?? 0),
            ScalableSoftmax = Vector($"{block}.mixer.scalableSoftmax.scale"),
            Temperature = attention.Temperature,
            Slopes = layer.Position is AlibiOptions
                ? Pointer(() => tensor(AlibiPositions.Slopes(attention.Heads)).to(ScalarType.Float32))
                : null,
            Rotary = layer.Position is RotaryOptions rotary ? RotaryOf(rotary, width) : null,
            Window = Shape(layer).Window,
            Memory = remembered,
        };
    }

    private CpuRotary RotaryOf(RotaryOptions rotary, int width)
    {
        if (rotaries.Find(known => known.Options == rotary && known.Width == width) is { } shared) return shared;
        int turned = rotary.RotaryDims(width), length = options.ContextLength;
        CpuRotary made = new(rotary, width, RotaryFrequencies.Of(turned, rotary.Theta, rotary.Scaling, length, length), Rows(turned));
        rotaries.Add(made);
        return made;
    }

    private VectorMatrix Linear(string name) => Matrix($"{name}.weight") with { Bias = (nint)Vector($"{name}.bias") };

    private VectorMatrix Matrix(string name, bool multiplied = true)
    {
        Tensor weight = weights[name];
        bool rounds = multiplied && model.ComputeType == ScalarType.BFloat16 && weight.dtype == ScalarType.Float32;
        ScalarType type = rounds ? ScalarType.BFloat16 : weight.dtype;
        long width = weight.size(1);
        long inputs = type == ScalarType.Int8 ? width / BlockQuantization.BlockBytes * BlockQuantization.BlockLength : width;
        float* numbers = Pointer(() => rounds ? ComputeWeight.Round(weight, type) : weight.detach().contiguous());
        VectorMatrix matrix = new((nint)numbers, type, weight.size(0), inputs, Bias: 0);
        if (!multiplied || !packs) return matrix;
        float* panels = Numbers(PanelProduct.Numbers(matrix.Outputs, inputs));
        PanelProduct.Pack(numbers, matrix.Outputs, inputs, panels);
        return matrix with { Panels = (nint)panels };
    }

    private CpuNorm? NormOf(string name, bool exists) =>
        exists ? new((nint)Vector($"{name}.weight"), (nint)Vector($"{name}.bias"), weights[$"{name}.weight"].size(0)) : null;

    // Null where the model has no such weight.
    private float* Vector(string name) =>
        weights.TryGetValue(name, out Tensor? weight) ? Pointer(() => weight.detach().contiguous()) : null;

    // Uninitialized rows: pages are allocated only when written.
    private float* Rows(long numbers) => Numbers(mostRows * numbers);

    private float* Numbers(long count) => Pointer(() => empty(count, dtype: ScalarType.Float32));

    private float* Pointer(Func<Tensor> make)
    {
        Tensor tensor = Constants.Own(make);
        owned.Add(tensor);
        return (float*)tensor.DataPointer;
    }
}
