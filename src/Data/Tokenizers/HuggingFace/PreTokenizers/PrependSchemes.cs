namespace Trainer.Data.HuggingFace;

/// <summary>Reads where Metaspace puts its character in front, in the new and in the old way.</summary>
internal static class PrependSchemes
{
    public static PrependScheme Of(Part part)
    {
        var adds = part.Flag("add_prefix_space", true);
        if (!part.Has("prepend_scheme"))
            return adds ? PrependScheme.Always : PrependScheme.Never;
        var scheme = part.Choice("prepend_scheme", PrependScheme.Always);
        return adds || scheme == PrependScheme.Never
            ? scheme
            : throw part.Damaged($"add_prefix_space is false, but prepend_scheme is {part.Text("prepend_scheme")}");
    }
}
