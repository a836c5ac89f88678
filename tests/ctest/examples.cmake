# The examples in C and C++, as a user builds them, on the study of study.h in files.

add_subdirectory("${root}/examples" examples)
add_program(write_study write_study.c)
set(files "${CMAKE_CURRENT_BINARY_DIR}/written/files")
file(MAKE_DIRECTORY "${files}")
add_case(write_study quick write_study "${files}")
set_tests_properties(write_study PROPERTIES FIXTURES_SETUP files)

# An example in both languages against a section of the expected lines.
function(add_example name case section)
    foreach(language c cpp)
        target_link_libraries(${name}_${language} PRIVATE settings)
        set(test example_${case}_${language})
        add_case(${test} quick sh "${CMAKE_CURRENT_SOURCE_DIR}/tools/example.sh"
            "${root}/tests/data/golden/examples.txt" "${section}" FOLDER
            "$<TARGET_FILE:${name}_${language}>" ${ARGN})
        set_tests_properties(${test} PROPERTIES FIXTURES_REQUIRED files)
    endforeach()
endfunction()
set(micro "${root}/tests/data/micro")
set(series "${files}/t1" "${files}/t1c" "${files}/t2")
set(nrrd "${files}/t1.nrrd" "${files}/t1c.nrrd" "${files}/t2.nrrd")
add_example(first_result first_result_dicom "first_result dicom" ${series} "${micro}" FOLDER)
add_example(first_result first_result_file "first_result file" ${nrrd} "${micro}" FOLDER)
add_example(edit_a_box edit_a_box edit_a_box ${series} "${micro}")
add_example(from_memory from_memory from_memory "${micro}")
add_example(progress_and_cancel progress_and_cancel progress_and_cancel ${series} "${micro}")
