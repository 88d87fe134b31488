"""The options that the tools' manuals give their commands; a word that is none of them is refused by its name.

A form is how many words a command takes beside its options (`1`, `0-2`, `1+`), then its options: `-force` stands alone,
`-part=` takes the next word, `-scale?` stands alone or is written -scale=true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# UG1399 of 2020.2 to 2025.2: what all of them have, and what scripts need.
VITIS_HLS = {
    "open_project": "1 -reset",
    "set_top": "1",
    "add_files": "1 -tb -cflags= -csimflags= -blackbox=",
    "open_solution": "1 -reset -flow_target=",
    "set_part": "1",
    "create_clock": "0 -name= -period=",
    "set_clock_uncertainty": "1-2",
    "config_compile": "0 -enable_auto_rewind? -name_max_length= -no_signed_zeros? -pipeline_loops= "
    "-pipeline_style= -unsafe_math_optimizations?",
    "csim_design": "0 -O -argv= -clean -ldflags= -mflags= -profile -setup",
    "csynth_design": "0",
    "cosim_design": "0 -O -argv= -compiled_library_dir= -disable_deadlock_detection -disable_dependency_check "
    "-enable_dataflow_profiling -enable_fifo_sizing -ldflags= -mflags= -random_stall -rtl= -setup "
    "-stable_axilite_update -tool= -trace_level= -wave_debug",
    "export_design": "0 -description= -display_name= -flow= -format= -ipname= -library= -output= -rtl= -taxonomy= "
    "-vendor= -version=",
    "exit": "0-1",
}
# UG902 up to 2020.1.
VIVADO_HLS = VITIS_HLS | {
    "open_solution": "1 -reset",
    "set_part": "1 -tool=",
    "config_compile": "0 -ignore_long_run_time? -name_max_length= -no_signed_zeros? -pipeline_loops= "
    "-unsafe_math_optimizations?",
    "config_schedule": "0 -effort= -enable_dsp_full_reg? -relax_ii_for_timing? -verbose?",
    "config_array_partition": "0 -auto_partition_threshold= -auto_promotion_threshold= -include_ports? "
    "-exclude_extern_globals? -include_extern_globals? -maximum_size= -scalarize_all? -throughput_driven?",
    "csim_design": "0 -O -argv= -clean -compiler= -ldflags= -mflags= -setup",
    "cosim_design": "0 -O -argv= -compiled_library_dir= -compiler= -ldflags= -mflags= -rtl= -setup -tool= "
    "-trace_level= -wave_debug",
    "export_design": "0 -description= -display_name= -flow= -format= -ipname= -library= -rtl= -vendor= -version=",
}
QUERY = "-regexp -nocase -filter= -of_objects="
# UG835; -files is what Vivado's own journal writes for the files of make_wrapper.
VIVADO = {
    "create_project": "0-2 -part= -force -in_memory -ip -rtl_kernel",
    "current_project": "0-1",
    "current_fileset": "0 -constrset -simset -blockset",
    "set_property": "1+ -dict=",
    "get_property": "2 -min -max",
    "add_files": "0+ -fileset= -of_objects= -norecurse -copy_to= -force -scan_for_includes",
    "get_files": f"0+ {QUERY} -compile_order= -used_in= -references= -all",
    "update_compile_order": "0 -force_gui -fileset=",
    "update_ip_catalog": "0 -rebuild -add_ip= -delete_ip= -delete_mult_ip= -disable_ip= -enable_ip= -repo_path= "
    "-scan_changes",
    "create_bd_design": "1 -dir= -cell= -bdsource=",
    "create_bd_cell": "1 -vlnv= -type= -reference= -revision=",
    "group_bd_cells": "0+ -prefix=",
    "get_bd_cells": f"0+ {QUERY} -hierarchical",
    "get_bd_pins": f"0+ {QUERY} -hierarchical",
    "get_bd_intf_pins": f"0+ {QUERY} -hierarchical",
    "get_bd_addr_segs": f"0+ {QUERY} -hierarchical -excluded -addressed -unaddressed -addressing -addressables",
    "get_bd_addr_spaces": f"0+ {QUERY} -hierarchical",
    "connect_bd_net": "1+ -net= -boundary_type=",
    "connect_bd_intf_net": "2 -intf_net= -boundary_type=",
    "apply_bd_automation": "1+ -rule= -config= -dict= -opts=",
    "assign_bd_address": "0+ -target_address_space= -boundary -master_boundary -external -dict= -import_from_file= "
    "-export_to_file= -offset= -range= -base_high= -force",
    "validate_bd_design": "0 -force -design=",
    "save_bd_design": "0-1",
    "startgroup": "0 -try",
    "endgroup": "0",
    "make_wrapper": "0-1 -top -testbench -inst_template -fileset= -import -force -files=",
    "get_runs": f"0+ {QUERY}",
    "launch_runs": "1+ -jobs= -scripts_only -lsf= -sge= -cluster_configuration= -dir= -to_step= -next_step -host= "
    "-remote_cmd= -email_to= -email_all -pre_launch_script= -post_launch_script= -custom_script= -force",
    "reset_run": "1+ -prev_step -from_step=",
    "wait_on_run": "1 -timeout= -exit_condition=",
    "open_run": "1 -name= -pr_config=",
    "report_utilization": "0 -file= -append -pblocks= -cells= -return_string -slr -packthru -name= -no_primitives "
    "-omit_locs -hierarchical -hierarchical_depth= -hierarchical_min_primitive_count= -hierarchical_percentages "
    "-spreadsheet_file= -spreadsheet_table= -spreadsheet_depth= -format=",
    "report_timing_summary": "0 -check_timing_verbose -delay_type= -no_detailed_paths -setup -hold -max_paths= "
    "-nworst= -unique_pins -path_type= -no_reused_label -input_pins -no_pblock -slack_lesser_than= "
    "-report_unconstrained -significant_digits= -no_header -file= -append -name= -return_string "
    "-warn_on_violation -datasheet -cells= -rpx=",
}
VIVADO = {name: f"{form} -quiet -verbose" for name, form in VIVADO.items()}
# UG1393 and UG1702, of what a card's project needs.
VPP = {
    "v++": "0+ -c --compile -l --link -t= --target= --platform= -f= --kernel_frequency= -k= --kernel= -I= -D= -o= "
    "--output= --config= --temp_dir= --report_dir= --log_dir= --save-temps -g -s -j= --jobs= -O="
}


def options(
    name: str, words: Sequence[str], forms: Mapping[str, str]
) -> tuple[dict[str, str | bool], list[str], list[tuple[str, str | bool]]]:
    """Options of a command by name, its other words, and all options in their order. ValueError names what is odd."""
    if name not in forms:
        raise ValueError(f"invalid command name {name}")
    number, *known = forms[name].split()
    found: list[tuple[str, str | bool]] = []
    rest, left = [], list(words)
    while left:
        word = left.pop(0)
        key, sign, value = word.partition("=")
        if not _option(word):
            rest.append(word)
        elif f"{key}?" in known:
            found.append((key, value if sign else True))
        elif word in known:
            found.append((word, True))
        elif f"{word}=" not in known:
            raise ValueError(f"{name}: unknown option {word}")
        elif not left:
            raise ValueError(f"{name}: option {word} lacks its value")
        else:
            found.append((word, left.pop(0)))
    least, _, most = number.rstrip("+").partition("-")
    if len(rest) < int(least) or (not number.endswith("+") and len(rest) > int(most or least)):
        raise ValueError(f"{name}: takes {number} words, got {' '.join(rest) or 'none'}")
    return dict(found), rest, found


def _option(word: str) -> bool:
    """A minus before a digit is a number's."""
    return word.startswith("-") and not word[1:2].isdigit()
