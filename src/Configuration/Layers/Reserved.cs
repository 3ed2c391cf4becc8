namespace Trainer.Configuration.Layers;

/// <summary>Keys at the root of a file that are about the file and not settings.</summary>
internal static class Reserved
{
    /// <summary>Names the file that this one builds on, relative to this one.</summary>
    public const string Extends = "extends";

    /// <summary>Names the JSON schema for editors; ignored.</summary>
    public const string Schema = "$schema";
}
