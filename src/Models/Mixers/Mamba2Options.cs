using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;

namespace Trainer.Models.Mixers;

/// <summary>Mamba-2, a recurrence whose state has a fixed size and whose decay, input and output depend on the token
/// (Dao and Gu 2024, arXiv 2405.21060).</summary>
public sealed record Mamba2Options : MixerOptions
{
    /// <summary>Numbers the state holds for each number of a head, N.</summary>
    [Description("Numbers the state holds for each number of a head (Mamba-2: 128).")]
    [Range(1, 65536)]
    public int StateDim { get; init; } = 64;

    /// <summary>Width of a head, P: all its numbers decay alike.</summary>
    [Description("Width of a head, all of whose numbers decay alike; it must divide expand·dim.")]
    [Range(1, 65536)]
    public int HeadDim { get; init; } = 64;

    /// <summary>Width of all heads together, as a multiple of the model's.</summary>
    [Description("Width of all heads together, as a multiple of dim.")]
    [Range(1, 64)]
    public int Expand { get; init; } = 2;

    /// <summary>Groups of consecutive heads that share what goes into and comes out of their states, G.</summary>
    [Description("Groups of heads that share what goes into and comes out of their states; it must divide the number of heads, expand·dim / headDim.")]
    [Range(1, 4096)]
    public int Groups { get; init; } = 1;

    /// <summary>Positions that the convolution before the recurrence looks at, the present one included.</summary>
    [Description("Positions that the convolution before the recurrence looks at, the present one included.")]
    [Range(1, 1024)]
    public int Convolution { get; init; } = 4;

    /// <summary>Positions that are computed together, as products of matrices; it changes the speed and memory of training, not the result.</summary>
    [Description("Positions that are computed together; it changes speed and memory, not the result.")]
    [Range(1, 65536)]
    public int Chunk { get; init; } = 64;

    internal override bool Attends => false;

    internal override bool OnlyLooksBack => true;

    internal override string Component => "stateSpace";

    /// <summary>Widths in a model of width <paramref name="dim"/>.</summary>
    internal Mamba2Shape Shape(int dim) => new(Expand * dim, HeadDim, StateDim, Groups, Convolution);

    internal override IEnumerable<Problem> Against(ModelOptions model)
    {
        int width = Expand * model.Dim;
        if (width % HeadDim != 0)
            yield return new("headDim", $"headDim ({HeadDim}) must divide expand · dim ({Expand} · {model.Dim} = {width}); try {Divisors.Near(width, HeadDim)}");
        else if (width / HeadDim % Groups != 0)
            yield return new("groups", $"groups ({Groups}) must divide the number of heads, expand · dim / headDim ({width / HeadDim}); try {Divisors.Near(width / HeadDim, Groups)}");
    }

    internal override PartCost Cost(ModelOptions model, LayerOptions layer)
    {
        Mamba2Shape shape = Shape(model.Dim);
        long convolution = (long)shape.Channels * Convolution, state = shape.StateNumbers;
        PartCost linear = PartCost.Linear(model.Dim, shape.InputRows, model.Bias) + PartCost.Linear(shape.Width, model.Dim, model.Bias);
        return linear + new PartCost(convolution + shape.Channels + 3L * shape.Heads + shape.Width, convolution)
        {
            // In a chunk what comes in is compared with what goes out for each pair of positions, and the weights with the heads;
            // each position writes to the chunk's state and reads the one before.
            FlopsPerToken = 2L * Chunk * ((long)Groups * StateDim + shape.Width) + 4 * state,
        };
    }

    internal override LayerMemory Memory(ModelOptions model, LayerOptions layer) => new(0, ConstantBytes: sizeof(float) * Shape(model.Dim).RememberedNumbers);

    internal override Mixer Build(ModelParts parts, LayerOptions layer) => new Mamba2(parts, this);
}
