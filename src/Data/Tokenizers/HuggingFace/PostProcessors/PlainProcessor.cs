namespace Trainer.Data.HuggingFace;

/// <summary>Adds nothing; ByteLevel's processing of offsets leaves tokens alone.</summary>
internal sealed class PlainProcessor : PostProcessor
{
    public override bool Adds => false;

    public override int[] Apply(int[] first, int[]? second) => [.. first, .. second ?? []];
}
